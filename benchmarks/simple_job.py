"""The simple job on Orderflow: validate every event fully, keep one total per customer, exactly once.

Run it as a worker: `faust -A benchmarks.simple_job worker`. `/totals/{customer}` answers a customer's committed row.
"""

from typing import Any

from aiohttp import web

from app.engine.clock import Clock
from app.engine.errors import NotReady
from app.engine.step import Step
from app.engine.table import Table
from app.metrics import Metrics
from app.runtime.application import OrderflowApp
from app.settings import load_settings
from app.topics import LETTERS_TABLE, OUTCOMES_TABLE, partition_of
from app.transports import transport_for
from app.web.routes import add_web
from benchmarks.simple_job_fold import count
from models.columns import parse_events
from models.errors import EventError

TABLE = "customer_totals"
CHUNK = 500


async def customers(steps: Any) -> None:
    """Count each customer's events, orders and money."""
    step: Step
    async for step in steps:
        table = step.table(TABLE)
        for start in range(0, len(step.records), CHUNK):
            await step.turn()
            for event in parse_events([record.value for record in step.records[start : start + CHUNK]]):
                if isinstance(event, EventError):
                    raise event
                table.put(event.customer_id, count(table.get(event.customer_id), event.total, event.currency))


def build() -> OrderflowApp:
    """Return the application."""
    settings = load_settings()
    simple = OrderflowApp(settings, transport_for(settings.broker), Clock())
    simple.step_table(Table(TABLE), "events, orders and money of each customer")
    for table in (OUTCOMES_TABLE, LETTERS_TABLE):
        simple.step_table(Table(table), "empty; the status asks for it")
    simple.agent(simple.topic(simple.topic_names.orders, internal=True), name="customers")(customers)
    simple.on_web.append(
        lambda web_app: add_web(web_app, simple, settings.web_address(simple.conf.web_port), _no_letters, Metrics())
    )

    async def total(request: web.Request) -> web.Response:
        customer = request.match_info["customer"]
        try:
            assert simple.engine is not None
            rows = simple.engine.rows(partition_of(customer, settings.partitions)).tables[TABLE]
        except NotReady as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from error
        row = rows.get(customer)
        if row is None:
            raise web.HTTPNotFound
        return web.json_response(row)

    simple.on_web.append(lambda web_app: web_app.router.add_get("/totals/{customer}", total))
    return simple


async def _no_letters(_actions: object) -> None:
    raise NotImplementedError("the simple job has no letters")


app = build()
