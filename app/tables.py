"""The tables of the application. An aggregate is added in models/aggregates; it needs no line here."""

from typing import NamedTuple

from app.engine.table import Table
from app.pipeline import ORDERS_TABLE
from app.topics import OUTCOMES_TABLE
from models.aggregates import AGGREGATES
from models.order import Order


class NamedTable(NamedTuple):
    """A table and what `faust tables` says of it."""

    table: Table
    help: str


def order_id_of(key: str) -> str:
    """Return the order id of an orders key, so that an order is found without its customer."""
    return key.rpartition("\x1f")[2]


TABLES = (
    NamedTable(Table(ORDERS_TABLE, Order, index_of=order_id_of), "one row per order: status, money, items, events"),
    *(
        NamedTable(Table(aggregate.name, aggregate.row), f"{aggregate.name}: totals over all their orders")
        for aggregate in AGGREGATES
    ),
    NamedTable(
        Table(OUTCOMES_TABLE, int), "how many records were accepted, duplicates, forwarded, or dead letters by cause"
    ),
)
