"""The tables of the application. An aggregate is added in models/aggregates; it needs no line here."""

from typing import NamedTuple

from app.engine.table import Table
from app.topics import HELD_TABLE, LETTERS_TABLE, ORDERS_TABLE, OUTCOMES_TABLE
from models.aggregates import AGGREGATES
from models.letters import HeldOrder, Letter
from models.order import Order


class NamedTable(NamedTuple):
    """A table and what `faust tables` says of it."""

    table: Table
    help: str


def order_id_of(key: str) -> str:
    """Return the order id of an orders key, so that an order is found without its customer."""
    return key.rpartition("\x1f")[2]


def _due_at(letter: Letter) -> float | None:
    return letter.due_at


def _following(held: HeldOrder) -> float | None:
    return 0.0 if held.following else None


TABLES = (
    NamedTable(Table(ORDERS_TABLE, Order, index_of=order_id_of), "one row per order: status, money, items, events"),
    *(
        NamedTable(Table(aggregate.name, aggregate.row), f"{aggregate.name}: totals over all their orders")
        for aggregate in AGGREGATES
    ),
    NamedTable(Table(LETTERS_TABLE, Letter, due_of=_due_at), "dead letters: events that were not accepted, and why"),
    NamedTable(Table(HELD_TABLE, HeldOrder, due_of=_following), "orders that have open dead letters, and which"),
    NamedTable(
        Table(OUTCOMES_TABLE, int), "how many records were accepted, duplicates, forwarded, or dead letters by cause"
    ),
)
