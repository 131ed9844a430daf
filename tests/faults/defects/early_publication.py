"""Rows are published before their commit is known, and kept when it fails."""

from typing import Any

from app.engine import lane as lane_module
from app.engine.lane import Lane
from tests.faults.defects.defect import HOLDS, REQUESTS_LOST, TROUBLE, Defect

DEFECT = Defect(
    name="early-publication",
    what="rows are published before their commit is known, and kept when it fails",
    brokers=("redis", "kafka"),
    moves=(TROUBLE, REQUESTS_LOST),
    seconds=60,
    evidence=r"outcomes|missing|letter",
    elsewhere={"kafka": HOLDS},
    length=7.0,
)


def plant() -> None:
    """Publish, then commit; and keep the rows of the lane over claims."""
    lane: Any = Lane
    commit, hold = lane._commit, lane._hold

    async def publish_first(self: Any, lease: Any, step: Any, began: float) -> None:
        step.publish(step.encoded())
        await commit(self, lease, step, began)

    async def hold_with_old_rows(self: Any) -> None:
        rows = self._rows
        vars(lane_module)["PartitionState"] = lambda _tables: rows
        holding = hold(self)
        await holding

    lane._commit, lane._hold = publish_first, hold_with_old_rows
