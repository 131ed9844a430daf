"""A TCP proxy in front of a server: it cuts, holds and half-closes connections, and leads new ones to another."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Self

CHUNK = 4_096


class _Connection:
    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near, self.far = near, far

    def cut(self) -> None:
        """Reset both sides: neither learns what the other had received."""
        for side in (self.near, self.far):
            with suppress(Exception):
                side.transport.abort()


class Proxy:
    """Leads to the port `target`, which may change for new connections. A context manager; all calls block.

    `trouble`: the chance that a chunk of bytes, in either direction, cuts its connection, before or after it went on.
    """

    def __init__(self, target: int, seed: int = 0) -> None:
        self.target = target
        self.trouble = 0.0
        self.cuts = 0
        self.port = 0
        self._random = Random(seed)
        self._open: set[_Connection] = set()
        self._passing = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def broker(self) -> str:
        """Its address, as a setting."""
        return f"redis://127.0.0.1:{self.port}"

    def cut_all(self) -> None:
        """Cut every connection there is."""

        def cut() -> None:
            for connection in list(self._open):
                connection.cut()

        self._call(cut)

    def half_close_all(self) -> None:
        """Tell the server, not the client, that its connections are at their end: the next answer is their last."""

        def half_close() -> None:
            for connection in self._open:
                connection.far.write_eof()

        self._call(half_close)

    def hold(self) -> None:
        """Hand nothing on, from now on."""
        self._call(self._passing.clear)

    def let_go(self) -> None:
        """Hand on what was held, and all that comes."""
        self._call(self._passing.set)

    def _call(self, function: Callable[[], object]) -> None:
        async def run() -> None:
            function()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self.let_go()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        """Cut all and listen no more."""
        self._call(self._server.close)
        self.trouble = 0
        self.cut_all()
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _finish(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            near.transport.abort()
            return
        connection = _Connection(near, far)
        self._open.add(connection)
        try:
            await asyncio.gather(self._pass(connection, near_reader, far), self._pass(connection, far_reader, near))
        finally:
            self._open.discard(connection)
            connection.cut()

    async def _pass(self, connection: _Connection, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(CHUNK):
                await self._passing.wait()
                fate = self._random.random()
                if fate < self.trouble / 2:
                    self.cuts += 1
                    break
                target.write(chunk)
                await target.drain()
                if fate < self.trouble:
                    self.cuts += 1
                    break
        connection.cut()
