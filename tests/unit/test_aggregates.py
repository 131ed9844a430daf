"""Each aggregate counts what its file says, once, in the right row."""

from typing import Any

import pytest

from app.engine.table import encode_row, row_decoder
from models.aggregates import AGGREGATES, customers, products, revenue
from models.aggregates.aggregate import Aggregate
from models.aggregates.customers import Customer
from models.aggregates.products import Product
from models.aggregates.revenue import Revenue
from models.errors import Refusal
from models.events import Event
from models.order import DUPLICATE, Order, apply

Rows = dict[str, Any]


def fold(aggregate: Aggregate[Any], *events: Event) -> Rows:
    """The rows after events of one order or several; refused events and duplicates change nothing."""
    orders: dict[str, Order] = {}
    rows: Rows = {}
    for event in events:
        try:
            change = apply(orders.get(event.order_id), event)
        except Refusal:
            continue
        if change is DUPLICATE:
            continue
        orders[event.order_id] = change.after
        for key, row in aggregate.contributions([change]).items():
            rows[key] = aggregate.merge(rows[key], row) if key in rows else row
    return rows


def created(order_id: str = "o1", minute: int = 0, currency: str = "GBP", total: int = 10000) -> Event:
    items = (("a", 2, 3000), ("b", 1, 3000), ("a", 1, 1000))
    return Event("order.created", f"{order_id}-created", _at(minute), order_id, "c1", total, currency, items)


def later(event_type: str, minute: int, order_id: str = "o1", amount: str | None = None) -> Event:
    event_id = f"{order_id}-{event_type}-{minute}"
    return Event(f"order.{event_type}", event_id, _at(minute), order_id, "c1", amount=amount)


def _at(minute: int) -> str:
    return f"2026-11-21T12:{minute:02d}:30.5"


def test_the_aggregates_have_their_names() -> None:
    """They are the names of the tables."""
    assert [aggregate.name for aggregate in AGGREGATES] == ["customers", "products", "revenue"]


def test_a_customer_has_orders_and_money_per_currency() -> None:
    """Gross when created, refunded when money goes back; first and last are of created orders only."""
    rows = fold(
        customers.AGGREGATE,
        created("o1", 5),
        created("o2", 3, "EUR", 700),
        created("o3", 4, total=1),
        later("paid", 9, "o1"),
        later("refunded", 10, "o1", "40.00"),
        later("cancelled", 11, "o2"),
    )
    assert rows == {"c1": Customer(3, 2, _at(3), _at(5), {"GBP": (10001, 4000), "EUR": (700, 700)})}


@pytest.mark.parametrize(
    ("events", "still_open"),
    [
        ([], 1),
        ([later("paid", 1)], 1),
        ([later("paid", 1), later("shipped", 2)], 1),
        ([later("paid", 1), later("shipped", 2), later("delivered", 3)], 0),
        ([later("paid", 1), later("shipped", 2), later("delivered", 3), later("refunded", 4)], 0),
        ([later("paid", 1), later("refunded", 2, amount="1.00")], 1),
        ([later("paid", 1), later("refunded", 2, amount="1.00"), later("refunded", 3)], 0),
        ([later("cancelled", 1)], 0),
        ([later("cancelled", 1), later("cancelled", 2)], 0),
    ],
)
def test_an_order_closes_once(events: list[Event], still_open: int) -> None:
    """When it is delivered, cancelled or fully refunded, whichever is first."""
    rows = fold(customers.AGGREGATE, created(), *events)
    assert (rows["c1"].order_count, rows["c1"].open_orders) == (1, still_open)


def test_a_product_counts_orders_pieces_and_revenue() -> None:
    """An order with several lines of one product counts once; a cancelled one gives pieces and revenue back."""
    rows = fold(products.AGGREGATE, created("o1"), created("o2", currency="EUR"), later("cancelled", 1, "o2"))
    assert rows == {
        "a": Product(2, 6, 3, {"GBP": 7000, "EUR": 0}),
        "b": Product(2, 2, 1, {"GBP": 3000, "EUR": 0}),
    }


def test_a_refund_leaves_products_alone() -> None:
    """It is about money, not about pieces."""
    events = [created(), later("paid", 1)]
    assert fold(products.AGGREGATE, *events, later("refunded", 2)) == fold(products.AGGREGATE, *events)


def test_revenue_is_in_the_minute_of_each_event() -> None:
    """The order in the minute in which it was created, what went back in that of its own event."""
    rows = fold(
        revenue.AGGREGATE,
        created("o1", 0),
        created("o2", 0),
        created("o3", 0, "EUR"),
        later("paid", 1),
        later("refunded", 2, amount="5.00"),
        later("refunded", 2, "o2"),  # not paid: refused
        later("cancelled", 2, "o2"),
        later("shipped", 3),
        later("delivered", 4),
    )
    assert rows == {
        "GBP\x1f2026-11-21T12:00": Revenue(2, 20000, 0),
        "EUR\x1f2026-11-21T12:00": Revenue(1, 10000, 0),
        "GBP\x1f2026-11-21T12:02": Revenue(0, 0, 10500),
    }


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda aggregate: str(aggregate.name))
def test_a_free_order_moves_no_money_when_cancelled(aggregate: Aggregate[Any]) -> None:
    """Its cancellation makes no row of zeros in a minute of its own."""
    rows = fold(aggregate, created(total=0), later("cancelled", 1))
    assert not [key for key in rows if key.endswith("12:01")]


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda aggregate: str(aggregate.name))
def test_merging_changes_neither_row(aggregate: Aggregate[Any]) -> None:
    """Rows are shared between readers, steps and caches."""
    others = fold(aggregate, created("o2", 1, "EUR"))
    for key, row in fold(aggregate, created()).items():
        other: Any = others.get(key, row)
        before = encode_row(row), encode_row(other)
        aggregate.merge(row, other)
        aggregate.merge(other, row)
        assert (encode_row(row), encode_row(other)) == before


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda aggregate: str(aggregate.name))
def test_what_the_largest_order_adds_can_be_written(aggregate: Aggregate[Any]) -> None:
    """JSON is written with 64 bits; an order's worth is bounded so that no single event comes near."""
    most = 10**16 - 1
    order = Event("order.created", "e", _at(0), "o", "c", most, "CLF", (("a", 1, most),))
    for row in fold(aggregate, order).values():
        assert row_decoder(aggregate.row)(encode_row(row)) == row


def test_readers_get_a_customer() -> None:
    """The shape that the HTTP interface promises."""
    row = Customer(2, 1, "2026-11-21T12:00:00", "2026-11-21T13:00:00.5", {"JPY": (500, 0), "GBP": (12997, 2000)})
    view = customers.view("c1", row)
    assert view == {
        "customer_id": "c1",
        "order_count": 2,
        "open_orders": 1,
        "first_order_at": "2026-11-21T12:00:00Z",
        "last_order_at": "2026-11-21T13:00:00.5Z",
        "money": {
            "GBP": {"gross": "129.97", "refunded": "20.00", "net": "109.97"},
            "JPY": {"gross": "500", "refunded": "0", "net": "500"},
        },
    }
    assert list(view["money"]) == ["GBP", "JPY"]


def test_readers_get_a_product() -> None:
    """The shape that the HTTP interface promises."""
    assert products.view("a", Product(2, 6, 3, {"GBP": 7000})) == {
        "sku": "a",
        "orders": 2,
        "units_sold": 6,
        "units_cancelled": 3,
        "money": {"GBP": {"revenue": "70.00"}},
    }


def test_readers_get_a_bucket_of_revenue() -> None:
    """The shape that the HTTP interface promises; more may go back in a minute than comes in."""
    assert revenue.view(revenue.revenue_key("GBP", "2026-11-21T12:02:59.9"), Revenue(1, 100, 350)) == {
        "start": "2026-11-21T12:02:00Z",
        "orders": 1,
        "gross": "1.00",
        "refunded": "3.50",
        "net": "-2.50",
    }
