"""A Redis server behind a proxy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tests.contract.brokers.redis import RedisServer
from tests.faults.brokers.target import Target
from tests.proxy import Proxy
from tests.waiting import wait_until

REWRITE_SECONDS = 60


class RedisTarget(Target):
    """See `Target`."""

    name: ClassVar[str] = "redis"
    server: RedisServer

    def __init__(self, folder: Path, seed: int = 0) -> None:
        super().__init__(folder)
        self.server = RedisServer(folder / "node-0")
        self._rewriting = False
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
        """Start the server if it ended, else let it write its file anew, as one does after its disk was full.

        Redis 7.0 may leave half a command in the file when a write fell short, goes on behind it, and refuses the file
        at its next start ("Bad file format reading the append only file").
        """
        if not self.runs(node):
            self.restart(node)
            return
        with self.server.client() as client:
            wait_until(lambda: self._is_written_anew(client), REWRITE_SECONDS, "the append-only file, written anew")

    def _is_written_anew(self, client: Any) -> bool:
        if client.info("persistence")["aof_rewrite_in_progress"]:
            return False
        if self._rewriting:
            self._rewriting = False
            return bool(client.info("persistence")["aof_last_bgrewrite_status"] == "ok")
        client.bgrewriteaof()
        self._rewriting = True
        return False

    def runs(self, node: int) -> bool:
        """Look for the process."""
        return self.server._process is not None and self.server._process.poll() is None

    def pid(self, node: int) -> int:
        """Return the server's."""
        assert self.server._process is not None
        return self.server._process.pid
