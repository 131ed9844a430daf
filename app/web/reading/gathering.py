"""Asks several at once, and waits for their answers for a limited time."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from app.web.reading.peers import NoAnswer

TIME_LIMIT = 2.0
"""Seconds that an answer may take altogether."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


async def gather(calls: Mapping[Asked, Coroutine[Any, Any, Answer]], seconds: float) -> dict[Asked, Answer | NoAnswer]:
    """Return the answer of each call, or why there was none within `seconds`; raises what else a call raises."""
    tasks = {asked: asyncio.create_task(call) for asked, call in calls.items()}
    try:
        if tasks:
            await asyncio.wait(tasks.values(), timeout=seconds)
        answers: dict[Asked, Answer | NoAnswer] = {}
        for asked, task in tasks.items():
            none = _no_answer(asked, task, seconds)
            answers[asked] = task.result() if none is None else none
        return answers
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


def _no_answer(asked: object, task: "asyncio.Task[Any]", seconds: float) -> NoAnswer | None:
    if not task.done():
        return NoAnswer(f"no answer from {asked} within {seconds:g} s")
    error = task.exception()
    return error if isinstance(error, NoAnswer) else None
