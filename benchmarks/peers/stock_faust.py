"""The simple job on stock Faust, as its documentation shows it: one agent, one table, at least once.

Run it as a worker: `faust -A benchmarks.peers.stock_faust worker`. Events are validated by the same pydantic models.
"""

import os
from typing import Any

import faust

from benchmarks.simple_job_fold import count
from models.events import parse_event

app = faust.App(
    os.environ["ORDERS_APP_ID"],
    broker=os.environ["ORDERS_BROKER"],
    value_serializer="raw",
    key_serializer="raw",
    topic_partitions=int(os.environ.get("ORDERS_PARTITIONS", "4")),
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
    topic_disable_leader=True,
)
orders = app.topic(os.environ.get("ORDERS_TOPIC_PREFIX", "") + "orders", key_type=bytes, value_type=bytes)
totals = app.Table("customer_totals", partitions=int(os.environ.get("ORDERS_PARTITIONS", "4")))


@app.agent(orders)
async def customers(stream: Any) -> None:
    """Count each customer's events, orders and money."""
    async for value in stream:
        event = parse_event(value)
        totals[event.customer_id] = count(totals.get(event.customer_id), event.total, event.currency)
