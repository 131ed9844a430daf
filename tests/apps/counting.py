"""The smallest application that uses everything a step has: it counts records per key and sends each one on.

Run as a worker by `faust -A tests.apps.counting worker`. What a record's value says is done to it: `raise` makes the
agent fail, `slow` makes its step take a second and `stuck` an hour, `bad` becomes a dead letter, anything else counts.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from app.engine.clock import Clock
from app.engine.step import Output, Step
from app.engine.table import Table
from app.runtime.application import OrderflowApp
from app.settings import load_settings
from app.transports import transport_for

SECONDS = {b"slow": 1.0, b"stuck": 3600.0}

log = logging.getLogger(__name__)

settings = load_settings()
app = OrderflowApp(settings, transport_for(settings.broker), Clock())
app.step_table(Table("counts"), "how many records of each key were seen")


async def counting(steps: AsyncIterator[Step]) -> None:
    """Count records by key."""
    async for step in steps:
        counts = step.table("counts")
        for record in step.records:
            if record.value == b"raise":
                raise ValueError("the record says so")
            if record.value == b"bad":
                step.send(Output(app.topic_names.dead_letters, step.partition, record.key, record.value))
                continue
            key = (record.key or b"").decode()
            counts.put(key, (counts.get(key) or 0) + 1)
            step.send(Output(app.topic_names.order_updates, step.partition, record.key, record.value))
        longest = max((SECONDS.get(record.value or b"", 0.0) for record in step.records), default=0.0)
        if longest:
            log.info("Partition %d: a step of %.0f s begins", step.partition, longest)
            await asyncio.sleep(longest)


app.agent(app.topic(app.topic_names.orders, internal=True), name="counting")(counting)  # type: ignore[arg-type]
