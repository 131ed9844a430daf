"""The server of our own that workers start in their data folder. Its keeper, not the test, starts it again."""

import os
import signal
from pathlib import Path
from typing import Any, ClassVar

import redis

from app.transports.embedded import EmbeddedServer
from tests.contract.brokers.redis import AWAY, StreamServer
from tests.waiting import wait_until


class EmbeddedBroker(StreamServer):
    """A data folder that tests and their workers share."""

    name: ClassVar[str] = "embedded"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._user = EmbeddedServer(folder)

    def start(self) -> None:
        """Be a user, so that it runs between the workers of a test too."""
        self._user.ensure()

    def stop(self) -> None:
        """Be no user any more: it ends with the last one."""
        self._user.close()

    def kill(self) -> None:
        """Kill the server, not its keeper; return once it is gone, or another runs in its place."""
        before = self._process()
        assert before is not None
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: self._process() != before, 10, f"the end of server {before}")

    def _process(self) -> int | None:
        with self.client() as client:
            try:
                return int(client.info("server")["process_id"])
            except AWAY:
                return None

    def address(self) -> dict[str, Any]:
        """Return the data folder."""
        return {"broker": "embedded://", "data_dir": self.folder}

    def client(self) -> Any:
        """Connect by its socket."""
        return redis.Redis(unix_socket_path=str(self._user.socket))
