"""A TCP proxy in front of a server: it cuts, delays, holds and half-closes connections, and can lead elsewhere."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Self

CHUNK = 64 << 10
SMALL_CHUNK = 4 << 10
"""While connections may be cut between two chunks: a message shall then be cut in the middle."""


class _Connection:
    """`near` leads to the client, `far` to the server."""

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
    `delay`: seconds that each chunk takes longer.
    """

    def __init__(self, target: int, seed: int = 0) -> None:
        self.target = target
        self.trouble = 0.0
        self.delay = 0.0
        self.cuts = 0
        self.port = 0
        self._random = Random(seed)
        self._open: dict[_Connection, None] = {}
        self._requests = asyncio.Event()
        self._answers = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self._open)

    @property
    def broker(self) -> str:
        """Its address, as a setting."""
        return f"redis://127.0.0.1:{self.port}"

    def cut_all(self, share: float = 1.0) -> None:
        """Cut every connection there is, or a share of them drawn at random, one at least."""

        def cut() -> None:
            every = list(self._open)
            for connection in self._random.sample(every, min(len(every), max(1, round(share * len(every))))):
                connection.cut()

        self._call(cut)

    def half_close_all(self) -> None:
        """Tell the server, not the client, that its connections are at their end: the next answer is their last."""

        def half_close() -> None:
            for connection in self._open:
                connection.far.write_eof()

        self._call(half_close)

    def hold(self, *, requests: bool = True, answers: bool = True) -> None:
        """Hand nothing on, from now on: nothing of the clients, nothing of the server, or neither."""
        if requests:
            self._call(self._requests.clear)
        if answers:
            self._call(self._answers.clear)

    def let_go(self) -> None:
        """Hand on what was held, and all that comes."""
        self._call(self._requests.set)
        self._call(self._answers.set)

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
        self._open[connection] = None
        try:
            await asyncio.gather(
                self._pass(connection, near_reader, far, self._requests),
                self._pass(connection, far_reader, near, self._answers),
            )
        finally:
            self._open.pop(connection, None)
            connection.cut()

    async def _pass(
        self,
        connection: _Connection,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        passing: asyncio.Event,
    ) -> None:
        with suppress(OSError, RuntimeError):  # RuntimeError: what comes for a side that was half-closed
            while chunk := await source.read(SMALL_CHUNK if self.trouble else CHUNK):
                await passing.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
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
