"""The brokers that the suite runs over; a new one is a file of its own and a line here."""

import os
from pathlib import Path

import pytest

from app.transports import TRANSPORTS
from tests.contract.brokers.embedded import EmbeddedBroker
from tests.contract.brokers.kafka import KafkaServer
from tests.contract.brokers.redis import RedisServer
from tests.contract.brokers.server import Server
from tools.errors import MissingProgramError

SERVERS: tuple[type[Server], ...] = (EmbeddedBroker, RedisServer, KafkaServer)

BROKERS = {server.name: server for server in SERVERS if server.name in TRANSPORTS}


class Servers:
    """One running server of each kind, started when a test first asks for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, Server] = {}

    def get(self, name: str) -> Server:
        """Return a running server. Where it cannot be had the test is skipped, or fails if CI is set."""
        server = self._running.get(name)
        if server is None:
            server = BROKERS[name](self._folder / name)
            try:
                server.start()
            except MissingProgramError as error:
                if os.environ.get("CI"):
                    raise
                pytest.skip(f"NOT TESTED with a real {name}: {error}")
            self._running[name] = server
        return server

    def stop(self) -> None:
        """Stop all."""
        for server in self._running.values():
            server.stop()
