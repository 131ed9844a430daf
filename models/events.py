"""The six order events: their declared schema, and the way from a record's bytes to one checked `Event`.

Many events at once go through columns.py, which makes its checks from the models declared here.
"""

from typing import Annotated, Any, Final, Literal

import orjson
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from models.errors import Cause, EventError, shown
from models.fields import Amount, Currency, Id, Instant, Lines, PositiveAmount, Quantity, Timestamp, in_utc
from models.money import AMOUNT_LIMIT, CURRENCIES, to_minor

EventType = Literal[
    "order.created", "order.paid", "order.shipped", "order.delivered", "order.cancelled", "order.refunded"
]

MAX_VALUE_BYTES = 1024 * 1024
"""Larger records are refused unread."""


# --- the declared schema ----------------------------------------------------------------------------------------------


_TIMESTAMP = "timestamp"


class _OrderEvent(BaseModel):
    """What every event carries. Fields that we do not know are ignored: producers may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_id: Id
    timestamp: Timestamp
    instant: Instant = Field(validation_alias=_TIMESTAMP)  # the same text again: is there such a moment?
    order_id: Id
    customer_id: Id


class OrderLine(BaseModel):
    """One item of an order."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sku: Id
    qty: Quantity
    price: Amount


class OrderCreated(_OrderEvent):
    """An order was placed. Its total is the shop's word (think of discounts, shipping), not the sum of its items."""

    event_type: Literal["order.created"]
    total_amount: Amount
    currency: Currency
    items: Lines[OrderLine]


class OrderPaid(_OrderEvent):
    """The order's payment arrived."""

    event_type: Literal["order.paid"]


class OrderShipped(_OrderEvent):
    """The order left the shop."""

    event_type: Literal["order.shipped"]


class OrderDelivered(_OrderEvent):
    """The order reached its customer."""

    event_type: Literal["order.delivered"]


class OrderCancelled(_OrderEvent):
    """The order was called off; what remains of its money goes back."""

    event_type: Literal["order.cancelled"]


class OrderRefunded(_OrderEvent):
    """Money of the order went back: `amount` in the order's currency, or all that remains where there is none."""

    event_type: Literal["order.refunded"]
    amount: PositiveAmount | None = None


OrderEvent = Annotated[
    OrderCreated | OrderPaid | OrderShipped | OrderDelivered | OrderCancelled | OrderRefunded,
    Field(discriminator="event_type"),
]
"""The declared schema: a union told apart by `event_type`."""

MODELS: Final[dict[str, type[_OrderEvent]]] = {
    "order.created": OrderCreated,
    "order.paid": OrderPaid,
    "order.shipped": OrderShipped,
    "order.delivered": OrderDelivered,
    "order.cancelled": OrderCancelled,
    "order.refunded": OrderRefunded,
}

# --- what is handed on ------------------------------------------------------------------------------------------------


Item = tuple[str, int, int]
"""One item of an order: sku, qty, and the price of one piece in minor units. A plain tuple, as rows hold it."""


class Event(Struct, gc=False):
    """A checked event. `timestamp` is UTC without suffix, `total` in minor units of `currency`.

    `total`, `currency` and `items` belong to order.created, `amount` to order.refunded: as it was written, for only
    the order knows its currency.
    """

    event_type: str
    event_id: str
    timestamp: str
    order_id: str
    customer_id: str
    total: int | None = None
    currency: str | None = None
    items: tuple[Item, ...] = ()
    amount: str | int | float | None = None


def parse_event(value: bytes | None) -> Event:
    """Return the event that a record's value holds.

    Raises:
        EventError: the value holds none. Nothing else is raised, whatever the bytes.
    """
    event = read_event(value)
    if isinstance(event, EventError):
        raise event
    return event


def read_event(value: bytes | None) -> Event | EventError:
    """Do what `parse_event` does, but return the error."""
    if value is None:
        return EventError("undecodable", "the record has no value (a tombstone)")
    if len(value) > MAX_VALUE_BYTES:
        return EventError("invalid_event", f"the value has {len(value):,} bytes; at most {MAX_VALUE_BYTES:,} are taken")
    try:
        record = orjson.loads(value)
    except orjson.JSONDecodeError as e:
        return EventError("undecodable", f"the value is not JSON: {e}")
    if isinstance(record, dict):
        return _read_record(record)
    return EventError("invalid_event", f"the value must be a JSON object, got {shown(record)}")


def _read_record(record: dict[str, Any]) -> Event | EventError:
    event_type = record.get("event_type")
    if not isinstance(event_type, str):
        fault = f"must be text, got {shown(event_type)}" if "event_type" in record else "is missing"
        return _error("invalid_event", f"event_type: {fault}", record)
    if event_type not in MODELS:
        return _error("unknown_type", f"event_type: no such type as {shown(event_type)}", record)
    try:
        return _event(_MODEL.validate_python(record))
    except ValidationError as e:
        return _error("invalid_event", _faults(e), record)
    except _Fault as e:
        return _error("invalid_event", str(e), record)


_MODEL: TypeAdapter[OrderEvent] = TypeAdapter(OrderEvent)


class _Fault(Exception):
    """What is wrong between the fields of an event whose fields are each well-formed."""


def _event(model: OrderEvent) -> Event:
    try:
        timestamp = in_utc(model.timestamp)
    except ValueError as e:
        raise _Fault(f"timestamp: {e}, got {shown(model.timestamp)}") from None
    head = (model.event_type, model.event_id, timestamp, model.order_id, model.customer_id)
    if isinstance(model, OrderRefunded):
        return Event(*head, amount=model.amount)
    if not isinstance(model, OrderCreated):
        return Event(*head)
    decimals = CURRENCIES[model.currency]
    total = _minor(model.total_amount, decimals, "total_amount")
    items = tuple(
        (line.sku, line.qty, _minor(line.price, decimals, f"items.{place}.price"))
        for place, line in enumerate(model.items)
    )
    if sum(qty * price for _, qty, price in items) >= worth_limit(decimals):
        raise _Fault(f"items: must be worth less than {AMOUNT_LIMIT:,} together")
    return Event(*head, total, model.currency, items)


def worth_limit(decimals: int) -> int:
    """Return what the items of an order must be worth less than together, in minor units."""
    return AMOUNT_LIMIT * int(10**decimals)


def _minor(amount: str | float, decimals: int, field: str) -> int:
    try:
        return to_minor(amount, decimals)
    except ValueError as e:
        raise _Fault(f"{field}: {e}, got {shown(amount)}") from None


# --- what is said of a broken one -------------------------------------------------------------------------------------

_WORDS = {
    "missing": "is missing",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must not hold control characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "too_short": "must have at least {min_length} item",
    "too_long": "must have at most {max_length} items",
    "model_type": "must be an object",
}
"""pydantic's error types in our words; those of a `Rule` bring their own."""


def _faults(error: ValidationError) -> str:
    faults: dict[str, str] = {}  # the first fault of each field
    for fault in error.errors(include_url=False):
        field = ".".join(map(str, fault["loc"][1:]))  # the first place is the tag of the union
        words = _WORDS.get(fault["type"])
        said = words.format(**fault.get("ctx", {})) if words else fault["msg"]
        got = "" if fault["type"] == "missing" else f", got {shown(fault['input'])}"
        faults.setdefault(field, f"{field}: {said}{got}")
    return "; ".join(faults.values())


_ID: TypeAdapter[str] = TypeAdapter(Id)


def _error(cause: Cause, message: str, record: dict[str, Any]) -> EventError:
    """Make the error of a record that is an object, with as much of the event's names as can be read."""
    names: dict[str, str | None] = dict.fromkeys(("event_type", "event_id", "order_id", "customer_id"))
    for name in names:
        try:
            names[name] = _ID.validate_python(record.get(name))
        except ValidationError:
            continue
    return EventError(cause, message, **names)
