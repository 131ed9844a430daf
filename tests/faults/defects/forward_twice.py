"""A record is sent on to its partition, and counted where it was as well."""

from typing import Any

from app import pipeline
from app.pipeline import OrderPipeline
from app.topics import partition_of
from models.errors import EventError
from tests.faults.defects.defect import Defect

DEFECT = Defect(
    name="forward-twice",
    what="a record is sent on to its partition, and counted where it was as well",
    brokers=("redis", "embedded", "kafka"),
    moves=(),
    seconds=20,
    evidence=r"too often|outcomes",
)


def plant() -> None:
    """Fold every record where it is; what belongs elsewhere is sent there besides."""
    module: Any = pipeline
    decide = OrderPipeline._decide
    here = 0

    def at_home(_customer: str, _partitions: int) -> int:
        return here

    def decide_and_forward(self: Any, draft: Any, records: Any, events: Any, faults: Any, start: int) -> Any:
        nonlocal here
        here = draft.step.partition
        stop, order = decide(self, draft, records, events, faults, start)
        for record, event in zip(records[start:stop], events[start:stop], strict=True):
            if not isinstance(event, EventError):
                home = partition_of(event.customer_id, self._partitions)
                if home != here:
                    draft.outputs.append(self._forwarded(record, here, home))
        return stop, order

    module.partition_of = at_home
    module.OrderPipeline._decide = decide_and_forward
