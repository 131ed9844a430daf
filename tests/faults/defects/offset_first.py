"""The offset is committed before the state."""

import asyncio
from typing import Any

from app.transports.kafka.batches import Batches
from app.transports.kafka.lease import KafkaLease
from app.transports.redis_streams.lease import RedisLease
from tests.faults.defects.defect import KILL, Defect

DEFECT = Defect(
    name="offset-first",
    what="the offset is committed before the state",
    brokers=("redis", "embedded", "kafka"),
    moves=(KILL,),
    seconds=30,
    evidence=r"missing",
)

WINDOW_SECONDS = 0.3


def plant() -> None:
    """Commit in two: first the offset, a little later rows and outputs."""
    for lease in (KafkaLease, RedisLease):
        _split(lease)


def _split(lease: Any) -> None:
    commit = lease.commit

    async def offset_first(self: Any, next_offset: int, rows: Any, outputs: Any) -> None:
        self.write(outputs)
        empty: Any = Batches(self._producer) if lease is KafkaLease else {}
        taken = "_batches" if lease is KafkaLease else "_outputs"
        outputs_taken = getattr(self, taken)
        setattr(self, taken, empty)
        await commit(self, next_offset, [], ())
        await asyncio.sleep(WINDOW_SECONDS)
        setattr(self, taken, outputs_taken)
        await commit(self, next_offset, rows, ())

    lease.commit = offset_first
