"""The state is not loaded to its end."""

from collections.abc import AsyncIterator
from typing import Any

from app.transports.kafka import state_log
from app.transports.kafka.reader import PartitionReader
from app.transports.redis_streams import lease as redis_lease
from app.transports.redis_streams.state import scan_rows
from tests.faults.defects.defect import KILL, Defect

DEFECT = Defect(
    name="short-recovery",
    what="the state is not loaded to its end",
    brokers=("redis", "embedded", "kafka"),
    moves=(KILL,),
    seconds=30,
    evidence=r"too often|missing|letter|outcomes|instead of once",
)


def plant() -> None:
    """Kafka: leave the last batch out, as if the log ended before it. Redis: leave out every tenth row."""
    state: Any = state_log
    state.PartitionReader = _ShortReader
    redis: Any = redis_lease
    redis.scan_rows = _some_rows


class _ShortReader(PartitionReader):
    async def _fetch(self) -> Any:
        fetched = await super()._fetch()
        if self._until is not None and fetched.next_offset >= self._until and fetched.batches:
            fetched.batches.pop()
        return fetched


async def _some_rows(client: Any, state: str) -> AsyncIterator[Any]:
    async for rows in scan_rows(client, state):
        yield [row for number, row in enumerate(rows) if number % 10]
