"""What the peers share in filling their queue, and in telling from the server how much of it is done.

A stream's group knows how much of it was acknowledged. A task queue keeps no count of what it has done: whoever fills
it notes on the same server how much went in, and what is neither waiting nor in work any more is done; or the server
has counted the commands that acknowledge. Nothing here is asked of the worker.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from redis import Redis

FILLED = "benchmark:filled"
CALLS = "benchmark:calls:"
_EVENTS_AT_ONCE = 1_000

Length = tuple[str, str]
"""A command that tells how much something holds, and its key."""


def chunks() -> Iterator[list[bytes]]:
    """Yield the events of standard input, one a line, some at a time."""
    lines = (line.rstrip(b"\n") for line in sys.stdin.buffer)
    while chunk := list(islice(lines, _EVENTS_AT_ONCE)):
        yield chunk


def note(client: Any, count: int) -> None:
    """Add to what went into the queue: after it went in, so that nothing looks done that is not."""
    client.incrby(FILLED, count)


def gone(client: Redis, *waiting: Length, in_work: tuple[Length, ...] = ()) -> int:
    """Return how many events are no longer in the queue.

    Args:
        client: the server.
        waiting: what counts the events that are not done; all of it is asked at one moment.
        in_work: what counts the events in work, where one of them may be in several places at once.
    """
    pipeline = client.pipeline(transaction=True)
    pipeline.get(FILLED)
    for command, key in (*waiting, *in_work):
        pipeline.execute_command(command, key)  # type: ignore[no-untyped-call]
    filled, *left = (int(count or 0) for count in pipeline.execute())
    return max(0, filled - sum(left[: len(waiting)]) - max(left[len(waiting) :], default=0))


def note_calls(client: Any, command: str) -> None:
    """Note how often the server has run a command, before anything goes into the queue."""
    client.set(f"{CALLS}{command}", _calls(client, command))


def called(client: Redis, command: str) -> int:
    """Return how often the server has run a command since that was noted, at most once for each event filled in."""
    filled, before = (int(count or 0) for count in client.mget(FILLED, f"{CALLS}{command}"))
    return max(0, min(filled, _calls(client, command) - before))


def _calls(client: Any, command: str) -> int:
    return int(client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


def acknowledged(client: Redis, stream: str) -> int:
    """Return how many entries of a stream its group has read and acknowledged; 0 before there is one."""
    if not client.exists(stream):
        return 0
    groups: Any = client.xinfo_groups(stream)
    return sum((group["entries-read"] or 0) - group["pending"] for group in groups)
