"""One Kafka for all processes of a run of the tests: each takes seconds of both cores to start, and half a gigabyte."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.contract.brokers.kafka import KafkaServer


class SharedKafka(KafkaServer):
    """The first process that needs it starts it, and ends it when no other uses it any more.

    `folder` is the same for all of them.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / str(os.getpid()))
        self._common = folder
        self._address = folder / "port"
        self._users: IO[str]
        self._is_mine = False

    def start(self) -> None:
        """Start it, or find out where it is."""
        self._common.mkdir(parents=True, exist_ok=True)
        self._users = (self._common / "users").open("w")
        fcntl.flock(self._users, fcntl.LOCK_SH)
        with (self._common / "starting").open("w") as starting, _locked(starting):
            if self._address.exists():
                self.node.port = int(self._address.read_text())
            else:
                super().start()
                self._is_mine = True
                self._address.write_text(str(self.node.port))

    def stop(self) -> None:
        """Use it no more. Whoever started it waits until nobody does, and ends it; who comes then starts another."""
        if self._is_mine:
            with _locked(self._users):
                self._address.unlink()
                self.kill()
        self._users.close()


@contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
