"""What was read before the claim is applied after it."""

from typing import Any

from app.engine.broker import Batch
from app.engine.lane import Lane
from tests.faults.defects.defect import ANSWERS_LOST, HOLDS, TROUBLE, Defect

DEFECT = Defect(
    name="stale-read",
    what="what was read before the claim is applied after it",
    brokers=("redis", "kafka"),
    moves=(TROUBLE, ANSWERS_LOST),
    seconds=60,
    evidence=r"too often|outcomes|instead of once",
    elsewhere={"kafka": HOLDS},
    length=10.0,
)


def plant() -> None:
    """Give the last batch that was read to the lane again that has just claimed the partition."""
    lane: Any = Lane
    read = lane._read
    last: dict[int, Batch] = {}
    leases: dict[int, Any] = {}

    async def read_or_remember(self: Any, lease: Any) -> Batch | None:
        if leases.get(self.partition) is not lease:
            leases[self.partition] = lease
            if self.partition in last:
                return last[self.partition]
        batch: Batch | None = await read(self, lease)
        if batch is not None and batch.records:
            last[self.partition] = batch
        return batch

    lane._read = read_or_remember
