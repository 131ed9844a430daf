"""A Redis server behind a proxy."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.contract.brokers.redis import RedisServer
from tests.faults.brokers.target import Target
from tests.proxy import Proxy


class RedisTarget(Target):
    """See `Target`."""

    name: ClassVar[str] = "redis"
    server: RedisServer

    def __init__(self, folder: Path, seed: int = 0) -> None:
        super().__init__(folder)
        self.server = RedisServer(folder / "node-0")
        self.proxies = [Proxy(self.server.port, seed)]

    def start(self) -> None:
        """Start the server and its proxy."""
        self.server.start()
        for proxy in self.proxies:
            proxy.__enter__()

    def worker_environment(self) -> Mapping[str, str]:
        """Lead through the proxy."""
        return {"ORDERS_BROKER": self.proxies[0].broker}

    def kill(self, node: int) -> None:
        """Kill the server."""
        self.server.kill()

    def restart(self, node: int) -> None:
        """Start the server."""
        self.server.start()

    def recover(self, node: int) -> None:
        """Start the server if it ended."""
        if not self.runs(node):
            self.restart(node)

    def runs(self, node: int) -> bool:
        """Look for the process."""
        return self.server._process is not None and self.server._process.poll() is None

    def pid(self, node: int) -> int:
        """Return the server's."""
        assert self.server._process is not None
        return self.server._process.pid
