"""An order moves along its table, its money adds up, and what the table does not allow is refused with its reason."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from app.engine.table import encode_row, row_decoder
from models.errors import Cause, Refusal
from models.events import MODELS, Event
from models.order import DUPLICATE, MAX_EVENTS, Change, Order, apply, events_of, order_key, order_view

NUMBERS = count()


def event(event_type: str, *, event_id: str = "", minute: int = 0, **fields: Any) -> Event:
    if event_type == "order.created":
        fields = {"total": 10000, "currency": "GBP", "items": (("a", 2, 3000), ("b", 1, 4000))} | fields
    event_id = event_id or f"evt-{next(NUMBERS)}"
    return Event(event_type, event_id, f"2026-11-21T12:{minute:02d}:00", "ord-1", "cust-1", **fields)


def change(order: Order | None, new: Event) -> Change:
    result = apply(order, new)
    assert isinstance(result, Change)
    return result


def after(*event_types: str, **created: Any) -> Order:
    """The order after events of these types, the first of which is order.created."""
    order = change(None, event("order.created", **created)).after
    for event_type in event_types:
        order = change(order, event(event_type)).after
    return order


def refusal(order: Order | None, new: Event) -> Refusal:
    with pytest.raises(Refusal) as caught:
        apply(order, new)
    return caught.value


ORDERS: dict[str | None, Callable[[], Order | None]] = {
    None: lambda: None,
    "created": after,
    "paid": lambda: after("order.paid"),
    "shipped": lambda: after("order.paid", "order.shipped"),
    "delivered": lambda: after("order.paid", "order.shipped", "order.delivered"),
    "cancelled": lambda: after("order.cancelled"),
    "refunded": lambda: after("order.paid", "order.refunded"),
}

TABLE: dict[tuple[str | None, str], str] = {
    (None, "order.created"): "created",
    (None, "order.paid"): "unknown_order",
    (None, "order.shipped"): "unknown_order",
    (None, "order.delivered"): "unknown_order",
    (None, "order.cancelled"): "unknown_order",
    (None, "order.refunded"): "unknown_order",
    ("created", "order.created"): "order_exists",
    ("created", "order.paid"): "paid",
    ("created", "order.shipped"): "illegal_transition",
    ("created", "order.delivered"): "illegal_transition",
    ("created", "order.cancelled"): "cancelled",
    ("created", "order.refunded"): "illegal_transition",
    ("paid", "order.created"): "order_exists",
    ("paid", "order.paid"): "illegal_transition",
    ("paid", "order.shipped"): "shipped",
    ("paid", "order.delivered"): "illegal_transition",
    ("paid", "order.cancelled"): "cancelled",
    ("paid", "order.refunded"): "refunded",
    ("shipped", "order.created"): "order_exists",
    ("shipped", "order.paid"): "illegal_transition",
    ("shipped", "order.shipped"): "illegal_transition",
    ("shipped", "order.delivered"): "delivered",
    ("shipped", "order.cancelled"): "illegal_transition",
    ("shipped", "order.refunded"): "refunded",
    ("delivered", "order.created"): "order_exists",
    ("delivered", "order.paid"): "illegal_transition",
    ("delivered", "order.shipped"): "illegal_transition",
    ("delivered", "order.delivered"): "illegal_transition",
    ("delivered", "order.cancelled"): "illegal_transition",
    ("delivered", "order.refunded"): "refunded",
    ("cancelled", "order.created"): "order_exists",
    ("cancelled", "order.paid"): "illegal_transition",
    ("cancelled", "order.shipped"): "illegal_transition",
    ("cancelled", "order.delivered"): "illegal_transition",
    ("cancelled", "order.cancelled"): "illegal_transition",
    ("cancelled", "order.refunded"): "illegal_transition",
    ("refunded", "order.created"): "order_exists",
    ("refunded", "order.paid"): "illegal_transition",
    ("refunded", "order.shipped"): "illegal_transition",
    ("refunded", "order.delivered"): "illegal_transition",
    ("refunded", "order.cancelled"): "illegal_transition",
    ("refunded", "order.refunded"): "illegal_transition",
}
"""(status, event type) -> the next status, or the cause of the refusal. A refund here is of all that remains."""


def test_the_table_is_whole() -> None:
    """It has a line for every status and every type of event."""
    assert set(TABLE) == {(status, event_type) for status in ORDERS for event_type in MODELS}


@pytest.mark.parametrize(("status", "event_type"), TABLE)
def test_an_order_follows_the_table(status: str | None, event_type: str) -> None:
    """Every status meets every event; a refused one carries its cause and its ids."""
    order, new = ORDERS[status](), event(event_type)
    assert (order.status if order else None) == status
    outcome = TABLE[status, event_type]
    if outcome in {"unknown_order", "order_exists", "illegal_transition"}:
        error = refusal(order, new)
        assert error.cause == outcome
        assert (error.event_type, error.event_id) == (event_type, new.event_id)
        assert (error.order_id, error.customer_id) == ("ord-1", "cust-1")
    else:
        done = change(order, new)
        assert (done.event, done.before, done.after.status) == (new, order, outcome)


@pytest.mark.parametrize("status", ["paid", "shipped", "delivered"])
def test_a_partial_refund_leaves_the_status_alone(status: str) -> None:
    """Until nothing remains: the refund that takes the rest makes the order refunded."""
    order = ORDERS[status]()
    assert order is not None
    done = change(order, event("order.refunded", amount="99.99"))
    assert (done.after.status, done.after.refunded, done.refunded, done.gross) == (status, 9999, 9999, 0)
    done = change(done.after, event("order.refunded", amount=0.01))
    assert (done.after.status, done.after.refunded, done.refunded) == ("refunded", 10000, 1)


def test_a_refund_without_an_amount_takes_what_remains() -> None:
    """So does a cancellation."""
    partly = change(after("order.paid"), event("order.refunded", amount=30)).after
    for last in ("order.refunded", "order.cancelled"):
        done = change(partly, event(last))
        assert (done.refunded, done.after.refunded) == (7000, 10000)


@pytest.mark.parametrize(
    ("amount", "cause", "message"),
    [
        ("100.01", "refund_too_large", "amount: '100.01' is asked for, but 100.00 GBP remains"),
        (10**11, "refund_too_large", "amount: 100000000000 is asked for, but 100.00 GBP remains"),
        ("1.001", "invalid_event", "amount: must have at most 2 decimals, got '1.001'"),
        (1e-9, "invalid_event", "amount: must be an amount above zero, got 1e-09"),
    ],
)
def test_a_refund_must_fit_the_order(amount: str | float, cause: Cause, message: str) -> None:
    """Its amount is one of the order's currency, and no more than what remains."""
    error = refusal(after("order.paid"), event("order.refunded", amount=amount))
    assert (error.cause, error.message) == (cause, message)


def test_nothing_can_be_refunded_of_nothing() -> None:
    """An order that was free of charge has no refund, with an amount or without; it can be cancelled."""
    free = after("order.paid", total=0)
    for amount in (None, "0.01"):
        assert refusal(free, event("order.refunded", amount=amount)).cause == "refund_too_large"
    assert change(free, event("order.cancelled")).refunded == 0


def test_decimals_are_those_of_the_currency() -> None:
    """Yen have none, dinars have three."""
    yen, dinar = after("order.paid", currency="JPY"), after("order.paid", currency="KWD")
    assert refusal(yen, event("order.refunded", amount="0.5")).message == "amount: must have no decimals, got '0.5'"
    assert change(yen, event("order.refunded", amount="5.0")).refunded == 5
    assert change(dinar, event("order.refunded", amount="0.005")).refunded == 5


@pytest.mark.parametrize("status", [status for status in ORDERS if status])
@pytest.mark.parametrize("event_type", MODELS)
def test_an_accepted_event_id_is_a_duplicate_ever_after(status: str, event_type: str) -> None:
    """Whatever the order's status, and whatever else the second event says."""
    order = ORDERS[status]()
    assert order is not None
    for event_id, _, _ in events_of(order):
        assert apply(order, event(event_type, event_id=event_id, minute=9)) is DUPLICATE


def test_a_refused_event_is_not_remembered() -> None:
    """Sent again when its time has come, it is accepted."""
    early = event("order.shipped")
    assert refusal(after(), early).cause == "illegal_transition"
    assert change(after("order.paid"), early).after.status == "shipped"


def test_an_order_takes_a_thousand_events() -> None:
    """Its row holds them all, so there must be an end; one that it knows is a duplicate still."""
    order = after("order.paid", total=10**6)
    while len(order.events) < 3 * MAX_EVENTS:
        order = change(order, event("order.refunded", amount="0.01")).after
    assert refusal(order, event("order.refunded", amount="0.01")).cause == "illegal_transition"
    assert apply(order, event("order.refunded", event_id=order.events[3 * 500])) is DUPLICATE


def test_times_are_those_of_the_events() -> None:
    """`updated_at` is the timestamp of the last applied event, even where it is older than others."""
    order = change(None, event("order.created", minute=5)).after
    order = change(order, event("order.paid", minute=3)).after
    assert (order.created_at, order.updated_at) == ("2026-11-21T12:05:00", "2026-11-21T12:03:00")


@pytest.mark.parametrize(("total", "qty", "average"), [(10000, 3, 3333), (5, 2, 2), (7, 2, 4), (0, 4, 0)])
def test_the_average_is_of_the_total_over_all_pieces(total: int, qty: int, average: int) -> None:
    """Rounded half to even, in minor units."""
    order = after(total=total, items=(("a", qty - 1, 1), ("a", 1, 1)))
    assert (order.item_count, order.average_item_price) == (qty, average)


def test_a_row_survives_its_encoding() -> None:
    """What is read back from JSON equals what was written."""
    order = after("order.paid", "order.refunded")
    assert row_decoder(Order)(encode_row(order)) == order


def test_an_order_is_named_by_customer_and_order() -> None:
    """No two pairs of ids make one key: ids cannot hold the separator."""
    assert order_key("cust-1", "ord-1") == "cust-1\x1ford-1"


def test_readers_get_texts_with_decimals_and_zone() -> None:
    """The shape that the HTTP interface promises."""
    order = change(None, event("order.created", event_id="e1")).after
    order = change(order, event("order.paid", event_id="e2", minute=1)).after
    assert order_view("cust-1", "ord-1", order) == {
        "order_id": "ord-1",
        "customer_id": "cust-1",
        "status": "paid",
        "currency": "GBP",
        "total_amount": "100.00",
        "refunded_amount": "0.00",
        "item_count": 3,
        "average_item_price": "33.33",
        "created_at": "2026-11-21T12:00:00Z",
        "updated_at": "2026-11-21T12:01:00Z",
        "items": [{"sku": "a", "qty": 2, "price": "30.00"}, {"sku": "b", "qty": 1, "price": "40.00"}],
        "events": [
            {"event_id": "e1", "event_type": "order.created", "timestamp": "2026-11-21T12:00:00Z"},
            {"event_id": "e2", "event_type": "order.paid", "timestamp": "2026-11-21T12:01:00Z"},
        ],
    }
