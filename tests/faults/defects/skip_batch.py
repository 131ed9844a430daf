"""A batch with a record that cannot be decoded is skipped."""

from typing import Any

from app.pipeline import OrderPipeline
from models.columns import parse_events
from models.errors import EventError
from tests.faults.defects.defect import Defect

DEFECT = Defect(
    name="skip-batch",
    what="a batch with a record that cannot be decoded is skipped",
    brokers=("redis", "embedded", "kafka"),
    moves=(),
    seconds=20,
    evidence=r"missing|dead letter",
)


def plant() -> None:
    """Skip it, as a consumer does that logs the error and goes on."""
    pipeline: Any = OrderPipeline
    handle = pipeline.handle

    async def handle_if_all_is_well(self: Any, step: Any) -> None:
        events = parse_events([record.value for record in step.records])
        if not any(isinstance(event, EventError) for event in events):
            await handle(self, step)

    pipeline.handle = handle_if_all_is_well
