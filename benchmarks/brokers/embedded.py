"""The embedded Valkey server, as it comes: every commit synced to its file."""

import asyncio
from pathlib import Path

from redis import Redis

from app.transports.embedded.transport import EmbeddedTransport, LocalServer
from benchmarks.brokers.streams import StreamsBroker


class Embedded(StreamsBroker):
    """A server by unix socket in a data folder of this run. It ends with its last user, which is this process."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        server = EmbeddedTransport.server(self._settings("", 1))
        assert isinstance(server, LocalServer)
        asyncio.run(server.ensure())
        self._server = server

    @property
    def url(self) -> str:
        """`embedded://`."""
        return "embedded://"

    @property
    def describe(self) -> str:
        """The server and its version."""
        with self.client() as client:
            info = client.info("server")
        version = info.get("valkey_version") or info.get("redis_version")
        return f"Valkey {version} by unix socket, appendfsync always"

    def client(self) -> "Redis":
        """By the unix socket."""
        return Redis(unix_socket_path=str(self._server.embedded.socket))

    def close(self) -> None:
        """Let go of the server, which ends it."""
        self._server.embedded.close()
