"""`embedded://`: the Redis Streams transport on a server of our own, in the data folder."""

import asyncio
from functools import cache
from typing import Any

from app.settings import Settings
from app.transports.embedded.server import EmbeddedServer
from app.transports.redis_streams.connection import RedisServer
from app.transports.redis_streams.transport import RedisTransport


class LocalServer(RedisServer):
    """The embedded server of a data folder. It runs while a process that uses it does."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, f"the embedded server in {settings.data_dir}")
        self.embedded = EmbeddedServer(settings.data_dir, settings.embedded_fsync)

    async def ensure(self) -> None:
        """Start the server unless it runs."""
        await asyncio.to_thread(self.embedded.ensure)

    def address(self) -> dict[str, Any]:
        """Return the path of its socket."""
        return {"unix_socket_path": str(self.embedded.socket)}


class EmbeddedTransport(RedisTransport):
    """Two commands from nothing: no server to install, set up or stop."""

    @classmethod
    def server(cls, settings: Settings) -> RedisServer:
        """Return the embedded server of the data folder."""
        return _server(settings)


@cache
def _server(settings: Settings) -> LocalServer:
    return LocalServer(settings)
