"""Asks the server, again for as long as it may be away, by one connection for all who ask."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.engine.errors import Unavailable
from app.transports.redis_streams.connection import Client, RedisServer
from app.transports.redis_streams.failures import translated

RETRY_SECONDS = 0.25

T = TypeVar("T")


class Link:
    """A connection that is replaced when it fails; the failed one is closed by the last who waits for its answer."""

    def __init__(self, server: RedisServer, patience: float) -> None:
        self._server = server
        self._patience = patience
        self._client: Client = server.client()
        self._users: Counter[Client] = Counter()

    async def ask(self, doing: str, question: Callable[[Client], Awaitable[T]]) -> T:
        """Return the answer to a question that may be asked twice; `doing` says in messages what it is for.

        Raises the engine's errors: `Unavailable` once the server has been away for too long.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            client = self._client
            self._users[client] += 1
            try:
                with translated(doing):
                    return await question(client)
            except Unavailable:
                if loop.time() - begun > self._patience:
                    raise
                if client is self._client:
                    self._client = self._server.client()
            finally:
                self._users[client] -= 1
                if client is not self._client and not self._users[client]:
                    del self._users[client]
                    await client.aclose()
            await asyncio.sleep(RETRY_SECONDS)
            with contextlib.suppress(Unavailable):
                await self._server.ensure()

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()
