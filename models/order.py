"""The life of an order: what each event does to it, as a table and one pure function."""

from collections.abc import Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from models.errors import Cause, Refusal, shown
from models.events import Event
from models.keys import SEPARATOR
from models.money import CURRENCIES, divide_half_even, format_minor, to_minor

Status = Literal["created", "paid", "shipped", "delivered", "cancelled", "refunded"]

TRANSITIONS: Final[Mapping[tuple[str | None, str], Status]] = MappingProxyType(
    {
        (None, "order.created"): "created",
        ("created", "order.paid"): "paid",
        ("paid", "order.shipped"): "shipped",
        ("shipped", "order.delivered"): "delivered",
        ("created", "order.cancelled"): "cancelled",
        ("paid", "order.cancelled"): "cancelled",
        # A refund leaves the status alone while something remains, and then makes it `refunded`.
        ("paid", "order.refunded"): "paid",
        ("shipped", "order.refunded"): "shipped",
        ("delivered", "order.refunded"): "delivered",
    }
)
"""(status, event type) -> next status. What is not here is not allowed."""


def _later_types() -> Mapping[str | None, frozenset[str]]:
    """Return for each status the types that some path of the table leads to, and that are not allowed at once."""
    edges: dict[str | None, set[str]] = {}
    for (status, _), after in TRANSITIONS.items():
        edges.setdefault(status, set()).add(after)
    allowed: dict[str | None, set[str]] = {status: set() for status in edges}
    for status, event_type in TRANSITIONS:
        allowed[status].add(event_type)
    later = {}
    for status in edges:
        reached, ahead = set[str](), [status]
        while ahead:
            new = edges.get(ahead.pop(), set()) - reached
            reached |= new
            ahead += new
        later[status] = frozenset(set().union(*(allowed.get(each, set()) for each in reached)) - allowed[status])
    return MappingProxyType(later)


_LATER: Final = _later_types()

OPEN: Final = frozenset({"created", "paid", "shipped"})
"""The statuses of an order that is not done with."""

MAX_EVENTS: Final = 1_000
"""Most accepted events of an order: its row holds them all."""


class Order(Struct, array_like=True, gc=False):
    """The row of an order. Money in minor units of `currency`; times in UTC, without suffix.

    `items` are (sku, qty, price). `events` are the accepted ones: event_id, event_type and timestamp of the first,
    then of the second … (`events_of`), in one tuple: the garbage collector looks at each tuple of each order.
    """

    status: str
    currency: str
    total: int
    refunded: int
    item_count: int
    average_item_price: int
    created_at: str
    updated_at: str
    items: tuple[tuple[str, int, int], ...]
    events: tuple[str, ...]


class Change(Struct, gc=False):
    """What an accepted event did.

    `gross` and `refunded` are what it adds to those totals, in minor units of `after.currency`.
    """

    event: Event
    before: Order | None
    after: Order
    gross: int
    refunded: int


class Duplicate(Enum):
    """The type of `DUPLICATE`."""

    DUPLICATE = "duplicate"


DUPLICATE: Final = Duplicate.DUPLICATE
"""An event that the order has accepted before: it changes nothing."""


_next_status = dict(TRANSITIONS).get


def order_key(customer_id: str, order_id: str) -> str:
    """Return the key of an order: two customers may each have an order of the same id."""
    return f"{customer_id}{SEPARATOR}{order_id}"


def apply(order: Order | None, event: Event) -> Change | Literal[Duplicate.DUPLICATE]:
    """Apply an event to its order as it stands (None: there is none yet).

    Raises:
        Refusal: the order's life does not allow the event.
    """
    if order is None:
        return _create(event)
    event_type, event_id = event.event_type, event.event_id
    before, events = order.status, order.events
    if has_accepted(order, event_id):
        return DUPLICATE
    if event_type == "order.created":
        raise _refusal(event, "order_exists", f"event {shown(events[0])} created the order before")
    status = _next_status((before, event_type))
    if status is None:
        raise _refusal(event, "illegal_transition", f"the order is {before}: no {event_type} is allowed")
    if len(events) >= 3 * MAX_EVENTS:
        raise _refusal(event, "illegal_transition", f"the order has had {MAX_EVENTS:,} events: no more are taken")
    refund = 0
    if event_type == "order.refunded":
        refund = _refund(order, event)
        if order.refunded + refund == order.total:
            status = "refunded"
    elif event_type == "order.cancelled":
        refund = order.total - order.refunded
    after = replace(
        order,
        status=status,
        refunded=order.refunded + refund,
        updated_at=event.timestamp,
        events=(*events, event_id, event_type, event.timestamp),
    )
    return Change(event, order, after, 0, refund)


def may_come_later(order: Order | None, event_type: str) -> bool:
    """Whether an event of a type that the order refuses now could be accepted after others: it came too early."""
    return event_type in _LATER.get(None if order is None else order.status, ())


def _create(event: Event) -> Change:
    if event.event_type != "order.created":
        raise _refusal(event, "unknown_order", f"customer {shown(event.customer_id)} has no such order")
    total, currency = event.total, event.currency
    if total is None or currency is None:
        raise TypeError("an order.created without total or currency: it did not come from parse_event")
    now, items = event.timestamp, event.items
    count = sum([qty for _, qty, _ in items])
    events = (event.event_id, event.event_type, now)
    after = Order("created", currency, total, 0, count, divide_half_even(total, count), now, now, items, events)
    return Change(event, None, after, total, 0)


def _refund(order: Order, event: Event) -> int:
    remaining = order.total - order.refunded
    decimals = CURRENCIES[order.currency]
    if event.amount is None:
        amount = remaining
    else:
        try:
            amount = to_minor(event.amount, decimals)
        except ValueError as e:
            raise _refusal(event, "invalid_event", f"amount: {e}, got {shown(event.amount)}") from None
        if amount == 0:  # a number so small that it is taken for binary noise
            raise _refusal(event, "invalid_event", f"amount: must be an amount above zero, got {shown(event.amount)}")
    if amount > remaining or remaining == 0:
        left = f"{format_minor(remaining, decimals)} {order.currency}"
        asked = "all" if event.amount is None else shown(event.amount)
        raise _refusal(event, "refund_too_large", f"amount: {asked} is asked for, but {left} remains")
    return amount


def _refusal(event: Event, cause: Cause, message: str) -> Refusal:
    return Refusal(
        cause,
        message,
        event_type=event.event_type,
        event_id=event.event_id,
        order_id=event.order_id,
        customer_id=event.customer_id,
    )


def has_accepted(order: Order, event_id: str) -> bool:
    """Whether the order has accepted an event of that id."""
    return event_id in order.events[::3]


def events_of(order: Order) -> Iterator[tuple[str, str, str]]:
    """Return the accepted events of an order, in order, as (event_id, event_type, timestamp)."""
    fields = iter(order.events)
    return zip(fields, fields, fields, strict=True)


def order_view(customer_id: str, order_id: str, order: Order) -> dict[str, Any]:
    """Return an order as readers get it: money as text with the currency's decimals, times with "Z"."""
    return {
        **lasting_view(customer_id, order_id, order),
        "status": order.status,
        "refunded_amount": format_minor(order.refunded, CURRENCIES[order.currency]),
        "updated_at": order.updated_at + "Z",
        "events": [
            {"event_id": event_id, "event_type": event_type, "timestamp": timestamp + "Z"}
            for event_id, event_type, timestamp in events_of(order)
        ],
    }


def lasting_view(customer_id: str, order_id: str, order: Order) -> dict[str, Any]:
    """Return the part of `order_view` that no event after the first one changes."""
    decimals = CURRENCIES[order.currency]
    return {
        "order_id": order_id,
        "customer_id": customer_id,
        "currency": order.currency,
        "total_amount": format_minor(order.total, decimals),
        "item_count": order.item_count,
        "average_item_price": format_minor(order.average_item_price, decimals),
        "created_at": order.created_at + "Z",
        "items": [{"sku": sku, "qty": qty, "price": format_minor(price, decimals)} for sku, qty, price in order.items],
    }
