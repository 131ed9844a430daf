"""What is costly to find out is found out again only when its age is worth the cost."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

Found = TypeVar("Found")

SHARE = 0.05
"""How much of a core may go into finding the same thing out again and again."""

LEAST_SECONDS, MOST_SECONDS = 0.5, 60.0


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
        return await asyncio.shield(self._task)

    async def _timed(self) -> Found:
        began = time.monotonic()
        self._until = -1.0
        found = await self._find()
        ended = time.monotonic()
        self._until = ended + min(MOST_SECONDS, max(LEAST_SECONDS, (ended - began) / SHARE))
        return found
