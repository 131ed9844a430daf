"""The brokers that the suite runs over; a new one is a file of its own and a line here."""

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pytest

from app.transports import TRANSPORTS
from tests.contract.brokers.embedded import EmbeddedBroker
from tests.contract.brokers.kafka import KafkaServer
from tests.contract.brokers.redis import RedisServer
from tests.contract.brokers.server import Server
from tests.contract.brokers.shared_kafka import SharedKafka
from tools.errors import MissingProgramError

SERVERS: tuple[type[Server], ...] = (EmbeddedBroker, RedisServer, KafkaServer)

SHARED: tuple[type[Server], ...] = (SharedKafka,)
"""Of which all processes of a run of the tests use the same one."""

BROKERS = {server.name: server for server in SERVERS if server.name in TRANSPORTS}


def over(names: Iterable[str] = BROKERS, *, long: Collection[str] = ()) -> list[Any]:
    """Return the parameters of a fixture that is to be had for each of these brokers; some take long."""
    return [pytest.param(name, marks=[pytest.mark.long] if name in long else []) for name in names]


class Servers:
    """Servers for tests: one of each kind for all of them, or one of a test's own.

    Where a server cannot be had the test is skipped, or fails if CI is set. `common` is a folder that all processes of
    the run have.
    """

    def __init__(self, folder: Path, common: Path) -> None:
        self._folder = folder
        self._shared = {kind.name: kind(common / kind.name) for kind in SHARED}
        self._running: dict[str, Server] = {}
        self._owned = 0

    def get(self, name: str) -> Server:
        """Return the one for all tests, which nobody may kill; it is started when it is first asked for."""
        server = self._running.get(name)
        if server is None:
            server = self._shared.get(name) or BROKERS[name](self._folder / name)
            start_or_skip(server)
            self._running[name] = server
        return server

    @contextmanager
    def own(self, name: str) -> Iterator[Server]:
        """Run one for a single user, who may kill it."""
        self._owned += 1
        server = BROKERS[name](self._folder / f"own-{self._owned}")
        start_or_skip(server)
        try:
            yield server
        finally:
            server.stop()

    def stop(self) -> None:
        """Stop all."""
        for server in self._running.values():
            server.stop()


class Startable(Protocol):
    """What takes a program that a machine may lack."""

    name: ClassVar[str]

    def start(self) -> None:
        """Start it. Raises `MissingProgramError`."""


def start_or_skip(server: Startable) -> None:
    """Start something; where it cannot be had the test is skipped, or fails if CI is set."""
    try:
        server.start()
    except MissingProgramError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"NOT TESTED with a real {server.name}: {error}")
