"""How readers get the rows of each table: what the key of a row says, how parts of it add up, how it looks as JSON.

The HTTP API and the commands share this. It reads nothing itself, and knows neither broker nor web.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from app.engine.table import row_decoder
from app.topics import HELD_TABLE, LETTERS_TABLE, ORDERS_TABLE, OUTCOMES_TABLE
from models import letters, order
from models.aggregates import AGGREGATES, customers, revenue
from models.keys import split_key
from models.order import order_view

MAX_ID = 255
"""Longest id, in characters; whatever is longer, or holds a control character, is the id of nothing."""


class TableView(NamedTuple):
    """How readers get the rows of a table.

    `decode` makes the row of its JSON, `view` what is shown of a key and its row. `customer_of` returns the
    customer to whose partition a key belongs; without it, every partition may hold a part of the row, and `merge` adds
    two such parts.
    """

    decode: Callable[[Any], Any]
    view: Callable[[str, Any], dict[str, Any]]
    merge: Callable[[Any, Any], Any]
    customer_of: Callable[[str], str] | None = None

    def add(self, rows: dict[str, Any], key: str, part: Any) -> None:
        """Add a part of a row to what `rows` has of it."""
        known = rows.get(key)
        rows[key] = part if known is None else self.merge(known, part)


def can_be_id(text: str) -> bool:
    """Whether an event may name an order, customer or product so."""
    return 0 < len(text) <= MAX_ID and not any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in text)


def _order_customer(key: str) -> str:
    return split_key(key)[0]


def _order_view(key: str, row: order.Order) -> dict[str, Any]:
    customer_id, order_id = split_key(key)
    return order_view(customer_id, order_id, row)


def _revenue_view(key: str, row: revenue.Revenue) -> dict[str, Any]:
    return {"currency": split_key(key)[0]} | revenue.view(key, row)


def _held_view(key: str, row: letters.HeldOrder) -> dict[str, Any]:
    customer_id, order_id = split_key(key)
    return {"order_id": order_id, "customer_id": customer_id, "queue": row.queue, "waiting": row.waiting}


def _one_place_only(_a: Any, _b: Any) -> Any:
    raise AssertionError("such a row is in one partition only")


def _later(a: letters.Letter, b: letters.Letter) -> letters.Letter:
    """Return what is newer of a letter that is on its way between two partitions, and seen in both."""
    return max(a, b, key=lambda letter: letter.history[-1].at if letter.history else letter.last_failed_at)


def _outcome_view(key: str, count: int) -> dict[str, Any]:
    return {"outcome": key, "count": count}


def _add(a: int, b: int) -> int:
    return a + b


VIEWS: Mapping[str, TableView] = MappingProxyType(
    {
        ORDERS_TABLE: TableView(row_decoder(order.Order), _order_view, _one_place_only, _order_customer),
        **{each.name: TableView(row_decoder(each.row), each.view, each.merge) for each in AGGREGATES},
        customers.AGGREGATE.name: TableView(row_decoder(customers.Customer), customers.view, customers.merge, str),
        revenue.AGGREGATE.name: TableView(row_decoder(revenue.Revenue), _revenue_view, revenue.merge),
        LETTERS_TABLE: TableView(row_decoder(letters.Letter), letters.letter_view, _later),
        HELD_TABLE: TableView(row_decoder(letters.HeldOrder), _held_view, _one_place_only, _order_customer),
        OUTCOMES_TABLE: TableView(row_decoder(int), _outcome_view, _add),
    }
)
"""By the name of the table. An aggregate needs no line here unless its rows are a customer's own."""
