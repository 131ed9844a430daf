"""What is costly to find out is found out again only when its age is worth the cost, and bit by bit."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from app.engine.turns import Turns

Found = TypeVar("Found")

SHARE = 0.05
"""How much of a core may go into finding the same thing out again and again."""

LEAST_SECONDS, MOST_SECONDS = 0.5, 60.0

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


async def turn() -> None:
    """Wait until a search may go on, for a few ms. To be awaited before each part of it.

    All searches of a worker take turns: else fifty at once would hold up commits and heartbeats fifty times as long.
    """
    await _turns.setdefault(asyncio.get_running_loop(), Turns()).turn()


class Costly(Generic[Found]):
    """Finds something out with `find`, once at a time, and keeps it for as long as its cost says.

    What took a second is at most 20 s old, what took next to nothing half a second, and nothing is older than a minute.
    It is found out to its end even if those who asked have gone, so that whoever asks again gets it. Raises what
    `find` raises.
    """

    def __init__(self, find: Callable[[], Coroutine[Any, Any, Found]]) -> None:
        self._find = find
        self._until = -1.0
        self._task: asyncio.Task[Found] | None = None

    async def get(self) -> Found:
        """Return it."""
        if self._task is None or (self._task.done() and time.monotonic() >= self._until):
            self._task = asyncio.create_task(self._timed())
            self._task.add_done_callback(_looked_at)
        return await asyncio.shield(self._task)

    async def _timed(self) -> Found:
        began = time.monotonic()
        found = await self._find()
        ended = time.monotonic()
        self._until = ended + min(MOST_SECONDS, max(LEAST_SECONDS, (ended - began) / SHARE))
        return found


def _looked_at(task: asyncio.Task[Any]) -> None:
    """Look at how it ended: if all who asked have gone, nobody else does, and that would be logged as forgotten."""
    if not task.cancelled():
        task.exception()
