"""What the peers share in filling their queue, and in telling from the server how much of it is done.

A stream's group knows how much of it was acknowledged. A task queue keeps no count of what it has done: whoever fills
it notes on the same server how much went in, and what is neither waiting nor in work any more is done.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from redis import Redis

FILLED = "benchmark:filled"
_EVENTS_AT_ONCE = 1_000


def chunks() -> Iterator[list[bytes]]:
    """Yield the events of standard input, one a line, some at a time."""
    lines = (line.rstrip(b"\n") for line in sys.stdin.buffer)
    while chunk := list(islice(lines, _EVENTS_AT_ONCE)):
        yield chunk


def note(client: Any, count: int) -> None:
    """Add to what went into the queue: after it went in, so that nothing looks done that is not."""
    client.incrby(FILLED, count)


def gone(client: Redis, *lengths: tuple[str, str]) -> int:
    """Return how many events are no longer in the queue.

    Args:
        client: the server.
        lengths: the commands, each with its key, that count what waits or is in work; asked at one moment.
    """
    pipeline = client.pipeline(transaction=True)
    pipeline.get(FILLED)
    for command, key in lengths:
        pipeline.execute_command(command, key)  # type: ignore[no-untyped-call]
    filled, *left = (int(count or 0) for count in pipeline.execute())
    return max(0, filled - sum(left))


def acknowledged(client: Redis, stream: str) -> int:
    """Return how many entries of a stream its group has read and acknowledged; 0 before there is one."""
    if not client.exists(stream):
        return 0
    groups: Any = client.xinfo_groups(stream)
    return sum((group["entries-read"] or 0) - group["pending"] for group in groups)
