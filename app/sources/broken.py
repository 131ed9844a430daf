"""Records that are wrong on purpose: one of every fault that Orderflow must answer with a dead letter.

None of them can change a valid order: each names an order of its own, or says something about an existing order
that no rule lets happen.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime

_Fault = Callable[[dict[str, str]], bytes]

_STRIDE = 37  # so that the first few are of different families; shares no factor with the number of kinds


def broken_record(number: int, seed: int, earlier: bytes | None, start: datetime) -> bytes:
    """Return broken record `number` of stream `seed`; every kind comes once before one comes again.

    `earlier` is a valid event sent before, for those that spoil a copy; without one, some kinds are left out.
    """
    kind = number * _STRIDE % (len(_ALONE) + len(_COPIES))
    if kind < len(_ALONE):
        return _ALONE[kind](_valid_created(number, seed, start))
    if earlier is None:
        return _ALONE[kind % len(_ALONE)](_valid_created(number, seed, start))
    return _COPIES[kind - len(_ALONE)](earlier, f'"bad-event-{seed}-{number:06d}"')


def _valid_created(number: int, seed: int, start: datetime) -> dict[str, str]:
    """Return the fields of a valid created event of its own order and customer, each as JSON text."""
    return {
        "event_type": '"order.created"',
        "event_id": f'"bad-event-{seed}-{number:06d}"',
        "timestamp": f'"{start.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"',
        "order_id": f'"bad-order-{seed}-{number:06d}"',
        "customer_id": f'"bad-customer-{number % 100:03d}"',
        "total_amount": '"20.00"',
        "currency": '"GBP"',
        "items": '[{"sku":"mug-001","qty":2,"price":"10.00"}]',
    }


def _text(fields: dict[str, str]) -> bytes:
    return ("{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}").encode()


def _with(**changed: str) -> _Fault:
    return lambda fields: _text(fields | changed)


def _without(*names: str) -> _Fault:
    return lambda fields: _text({name: value for name, value in fields.items() if name not in names})


def _of_type(event_type: str, **changed: str) -> _Fault:
    """Make another event than a created one of it, about an order that nobody created."""
    created_only = ("total_amount", "currency", "items")

    def make(fields: dict[str, str]) -> bytes:
        rest = {name: value for name, value in fields.items() if name not in created_only}
        return _text(rest | {"event_type": f'"{event_type}"'} | changed)

    return make


def _raw(value: bytes) -> _Fault:
    return lambda _: value


_ALONE: tuple[_Fault, ...] = (
    # not JSON
    lambda fields: _text(fields)[:-20],
    _with(total_amount="NaN"),
    _with(total_amount="1e400"),
    _raw(b"order 17 was paid"),
    lambda fields: _text(fields).replace(b"mug-001", b"mug-\xff\xfe"),
    lambda fields: b"\xef\xbb\xbf" + _text(fields),
    _with(details="[" * 1_100 + "]" * 1_100),
    lambda fields: _text(fields).replace(b'"', b"'"),
    _with(customer_id='"\\ud800"'),
    # JSON, but not an event
    _raw(b"null"),
    _raw(b"17"),
    lambda fields: b"[" + _text(fields) + b"]",
    lambda fields: b'"' + _text(fields).replace(b'"', b'\\"') + b'"',
    # unknown types
    _with(event_type='"order.archived"'),
    _with(event_type='""'),
    _with(event_type='"ORDER.PAID"'),
    _without("event_type"),
    _with(event_type="7"),
    # missing fields
    _without("event_id"),
    _without("timestamp"),
    _without("order_id"),
    _without("customer_id"),
    _without("total_amount"),
    _without("currency"),
    _without("items"),
    # ids
    _with(event_id='""'),
    _with(order_id='""'),
    _with(customer_id='""'),
    _with(customer_id="null"),
    _with(order_id="true"),
    _with(order_id="1.5"),
    _with(customer_id='["c-1"]'),
    _with(order_id='"' + "x" * 256 + '"'),
    _with(customer_id='"c\\u0000"'),
    _with(order_id='"a\\u001fb"'),
    # money
    _with(total_amount='"-20.00"'),
    _with(total_amount="-1"),
    _with(total_amount='"20.001"'),
    _with(total_amount="20.001"),
    _with(total_amount='"NaN"'),
    _with(total_amount='"Infinity"'),
    _with(total_amount='"1e3"'),
    _with(total_amount='" 20.00"'),
    _with(total_amount='""'),
    _with(total_amount="true"),
    _with(total_amount="null"),
    _with(total_amount='{"value":20}'),
    _with(total_amount='"1000000000000000"'),
    _with(currency='"ZZZ"'),
    _with(currency='""'),
    _with(currency="826"),
    _with(currency='"JPY"', total_amount='"20.5"'),
    # items
    _with(items="[]"),
    _with(items='{"sku":"mug-001","qty":2,"price":"10.00"}'),
    _with(items='["mug-001"]'),
    _with(items='[{"sku":"mug-001","qty":0,"price":"10.00"}]'),
    _with(items='[{"sku":"mug-001","qty":-1,"price":"10.00"}]'),
    _with(items='[{"sku":"mug-001","qty":1.5,"price":"10.00"}]'),
    _with(items='[{"sku":"mug-001","qty":true,"price":"10.00"}]'),
    _with(items='[{"sku":"mug-001","qty":1000001,"price":"10.00"}]'),
    _with(items='[{"sku":"","qty":1,"price":"10.00"}]'),
    _with(items='[{"sku":"mug-001","qty":1}]'),
    _with(items='[{"sku":"mug-001","qty":1,"price":"10.00"},{"sku":"mug-002","qty":1,"price":"-0.01"}]'),
    _with(items="[" + ",".join(['{"sku":"mug-001","qty":1,"price":"1"}'] * 501) + "]"),
    # times
    _with(timestamp='"yesterday"'),
    _with(timestamp='"2026-11-21"'),
    _with(timestamp="1795262400"),
    _with(timestamp='"1795262400"'),
    _with(timestamp='"2026-13-21T12:00:00Z"'),
    _with(timestamp='"2026-02-30T12:00:00Z"'),
    _with(timestamp='"2026-11-21T25:00:00Z"'),
    _with(timestamp='"1926-11-21T12:00:00Z"'),
    _with(timestamp="null"),
    # refunds that can never be
    _of_type("order.refunded", amount='"0"'),
    _of_type("order.refunded", amount='"-5.00"'),
    _of_type("order.refunded", amount='"five"'),
    _of_type("order.refunded", amount="[5]"),
    # orders that nobody created
    _of_type("order.paid"),
    _of_type("order.refunded"),
)


_EVENT_ID = re.compile(rb'"event_id":[^,]+')


def _again(earlier: bytes, event_id: str) -> bytes:
    """Return `earlier` as an event of its own: created twice, paid twice, and so on."""
    return _EVENT_ID.sub(f'"event_id":{event_id}'.encode(), earlier, count=1)


def _again_or_created_twice(earlier: bytes, event_id: str) -> bytes:
    # A part could be refunded once more, or what remains: those are made to ask for too much.
    return _refund_too_large(earlier, event_id) if b'"order.refunded"' in earlier else _again(earlier, event_id)


def _refund_too_large(earlier: bytes, event_id: str) -> bytes:
    return _refund(earlier, event_id, b'"999999999999"')


def _refund_too_fine(earlier: bytes, event_id: str) -> bytes:
    return _refund(earlier, event_id, b'"0.00001"')


def _refund(earlier: bytes, event_id: str, amount: bytes) -> bytes:
    record = re.sub(rb'"event_type":"[^"]+"', b'"event_type":"order.refunded"', _again(earlier, event_id), count=1)
    return re.sub(rb',"amount":[^,}]+', b"", record)[:-1] + b',"amount":' + amount + b"}"


_COPIES: tuple[Callable[[bytes, str], bytes], ...] = (
    _again_or_created_twice,
    _again_or_created_twice,
    _again_or_created_twice,
    _refund_too_large,
    _refund_too_fine,
)
