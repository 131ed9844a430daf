"""Orders over all partitions: one by its id, those of a customer, those that events have just changed."""

from typing import Any

from app.topics import ORDERS_TABLE
from app.views import VIEWS, can_be_id
from app.web.errors import ApiError, bad_parameter, unknown
from app.web.reading.queries import ByKey, BySecondKey, Changed, Newest
from app.web.reading.whole import Reading, Rows
from models.errors import shown
from models.order import order_key

OrderView = dict[str, Any]
"""An order as readers get it."""


async def find_order(reading: Reading, order_id: str, customer_id: str | None) -> OrderView:
    """Return an order. Raises `ApiError`: 404; 409 if several customers have one of that id, and none is named."""
    if customer_id is None:
        rows = await reading.of_all(BySecondKey(ORDERS_TABLE, order_id))
    elif can_be_id(customer_id):
        rows = await reading.of_customer(ByKey(ORDERS_TABLE, order_key(customer_id, order_id)), customer_id)
    else:
        raise bad_parameter("customer_id", f"must be the id of a customer, got {shown(customer_id)}")
    if not rows:
        raise unknown("order", order_id)
    if len(rows) > 1:
        raise ApiError(
            409,
            "ambiguous_order",
            f"{len(rows)} customers have an order {shown(order_id)}: say which one's with ?customer_id=…",
        )
    return _views(rows)[0]


async def orders_of_id(reading: Reading, order_id: str) -> list[OrderView]:
    """Return the orders of that id, whichever customers' they are."""
    return _views(await reading.of_all(BySecondKey(ORDERS_TABLE, order_id)))


async def customer_orders(reading: Reading, customer_id: str, most: int) -> list[OrderView]:
    """Return orders of a customer, at most so many, the one changed last first."""
    prefix = order_key(customer_id, "")
    return _newest_first(await reading.of_customer(Newest(prefix, most), customer_id))


async def recent_orders(reading: Reading, most: int) -> list[OrderView]:
    """Return the orders that events have changed last since the workers took their partitions, the newest first."""
    return _newest_first(await reading.of_all(Changed(ORDERS_TABLE, most)))[:most]


def _views(rows: Rows) -> list[OrderView]:
    return [VIEWS[ORDERS_TABLE].view(key, row) for key, row in rows.items()]


def _newest_first(rows: Rows) -> list[OrderView]:
    # Rows have times without a suffix, which sort as they are: with one, a whole second came after its parts.
    newest = sorted(rows.items(), key=lambda named: str(named[1].updated_at), reverse=True)
    return _views(dict(newest))
