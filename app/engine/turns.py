"""Lets the lanes of a worker compute one after the other, with everything else of the event loop going before them.

A commit, an answer to a reader or a heartbeat takes many passes of the event loop, of microseconds each. If every lane
did a part of its step in each pass, all of these would wait for a part of all lanes many times over.
"""

import asyncio
from collections import deque

PASSES = 4
"""Passes of the event loop from one turn to the next: most of them hold nothing, or what is waited for elsewhere."""


class Turns:
    """Grants one turn every `PASSES` passes of the event loop, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._passes: int | None = None

    async def turn(self) -> None:
        """Wait for a turn. It need not be given back: it lasts until the next `await`."""
        loop = asyncio.get_running_loop()
        granted: asyncio.Future[None] = loop.create_future()
        self._waiting.append(granted)
        if self._passes is None:
            self._passes = PASSES
            loop.call_soon(self._pass)
        await granted

    def _pass(self) -> None:
        """Count a pass, and grant the next turn if it is time for it; go on while somebody waits or computes."""
        assert self._passes is not None
        self._passes += 1
        if self._passes >= PASSES:
            while self._waiting and self._waiting[0].done():  # cancelled
                self._waiting.popleft()
            if not self._waiting:
                self._passes = None
                return
            self._waiting.popleft().set_result(None)
            self._passes = 0
        asyncio.get_running_loop().call_soon(self._pass)
