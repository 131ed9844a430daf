"""The embedded server: its keeper starts it again, workers reach it by a socket file."""

from pathlib import Path
from typing import ClassVar

from app.engine.errors import EngineError
from app.settings import Settings
from app.transports.embedded.transport import _server
from tests.contract.brokers.embedded import EmbeddedBroker
from tests.faults.brokers.target import Target
from tests.waiting import wait_until

BACK_SECONDS = 30


class EmbeddedTarget(Target):
    """See `Target`."""

    name: ClassVar[str] = "embedded"
    server: EmbeddedBroker

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = EmbeddedBroker(folder / "node-0")

    def start(self) -> None:
        """Be its first user."""
        self.server.start()

    def let_go(self, settings: Settings) -> None:
        """The shop's sender is a user of the server for as long as its process lives, which is this one."""
        _server(settings).embedded.close()

    def kill(self, node: int) -> None:
        """Kill the server, not its keeper."""
        self.server.kill()

    def restart(self, node: int) -> None:
        """See to it, as a user: the keeper may have started it already, or may have given up, which users are told."""
        wait_until(self._is_back, BACK_SECONDS, "the embedded server's return")

    def _is_back(self) -> bool:
        try:
            self.server.start()
        except EngineError:
            return False
        return True

    def recover(self, node: int) -> None:
        """See to it, as a user."""
        self.restart(node)

    def runs(self, node: int) -> bool:
        """Ask it."""
        return self.server._process() is not None

    def pid(self, node: int) -> int:
        """Ask it."""
        pid = self.server._process()
        assert pid is not None, "the embedded server does not answer"
        return pid
