"""What a record of the orders topic says, for the oracle: strict JSON, then the rules of the event types, one by one.

Like the oracle it shares no code with models/ or app/.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

MAX_VALUE_BYTES = 1 << 20
MAX_DEPTH = 1_024
DECIMALS = {"GBP": 2, "EUR": 2, "USD": 2, "SEK": 2, "CHF": 2, "JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3}
NO_CURRENCIES = {"", "ZZZ", "gbp"}
TYPES = {"order.created", "order.paid", "order.shipped", "order.delivered", "order.cancelled", "order.refunded"}


class RefusedError(Exception):
    """The record becomes a dead letter; the text is its cause."""


def event_of(value: bytes | None) -> dict[str, Any]:
    """Return an event with checked fields: ids as text, a datetime, money in minor units; raises `RefusedError`."""
    if value is None:
        raise RefusedError("undecodable")
    if len(value) > MAX_VALUE_BYTES:
        raise RefusedError("invalid_event")
    record = _json(value)
    if not isinstance(record, dict) or not isinstance(record.get("event_type"), str):
        raise RefusedError("invalid_event")
    event_type = record["event_type"]
    if event_type not in TYPES:
        raise RefusedError("unknown_type")
    try:
        event: dict[str, Any] = {name: _id(record[name]) for name in ("event_id", "order_id", "customer_id")}
        event |= {"event_type": event_type, "timestamp": _time(record["timestamp"])}
        if event_type == "order.created":
            decimals = _decimals(record["currency"])
            items = record["items"]
            assert isinstance(items, list)
            assert 1 <= len(items) <= 500
            event["currency"] = record["currency"]
            event["total"] = minor_units(record["total_amount"], decimals)
            event["items"] = [(_id(i["sku"]), _qty(i["qty"]), minor_units(i["price"], decimals)) for i in items]
        elif event_type == "order.refunded" and record.get("amount") is not None:
            event["amount"] = record["amount"]
            assert _amount(record["amount"]) > 0
    except (AssertionError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise RefusedError("invalid_event") from error
    return event


def readable(value: bytes | None) -> tuple[str | None, str | None]:
    """Return the customer and the order that a record names, whatever else is wrong with it; None where it does not."""
    if value is None or len(value) > MAX_VALUE_BYTES:
        return None, None
    try:
        record = _json(value)
    except RefusedError:
        return None, None
    if not isinstance(record, dict):
        return None, None
    ids: list[str | None] = []
    for name in ("customer_id", "order_id"):
        try:
            ids.append(_id(record.get(name)))
        except AssertionError:
            ids.append(None)
    return ids[0], ids[1]


def _json(value: bytes) -> Any:
    """Read strict JSON: UTF-8 without a byte order mark, no NaN, no number beyond a double, no half surrogates."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    def number(text: str) -> Decimal:
        return Decimal(text) if abs(float(text)) < float("inf") else refuse(text)

    try:
        text = value.decode()
        if text.startswith("\ufeff") or _depth(text) > MAX_DEPTH:
            refuse("a byte order mark, or nested too deeply")
        record = json.loads(text, parse_float=number, parse_constant=refuse)
        json.dumps(record, ensure_ascii=False, default=str).encode()  # fails for half of a surrogate pair
    except ValueError as error:
        raise RefusedError("undecodable") from error
    return record


def _depth(text: str) -> int:
    depth = deepest = 0
    for bracket in re.sub(r'"(\\.|[^"\\])*"', "", text):
        depth += (bracket in "[{") - (bracket in "]}")
        deepest = max(deepest, depth)
    return deepest


def _id(value: Any) -> str:
    assert isinstance(value, str | int)
    assert not isinstance(value, bool)
    text = str(value)
    assert 1 <= len(text) <= 255
    assert not re.search(r"[\x00-\x1f\x7f]", text)
    return text


def _time(value: Any) -> datetime:
    """Return the moment, in UTC; what names no offset is UTC."""
    found = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,6})?(Z|([+-])([01]\d|2[0-3]):([0-5]\d))?", value, re.ASCII
    )
    assert found
    day, clock, fraction, offset, sign, hours, minutes = found.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)
    moment += timedelta(seconds=0, microseconds=int((fraction or ".")[1:].ljust(6, "0")))
    if offset not in {None, "Z"}:
        east = timedelta(hours=int(hours), minutes=int(minutes))
        moment += east if sign == "-" else -east
    assert 1970 <= moment.year <= 9998
    return moment


def _qty(value: Any) -> int:
    if isinstance(value, str):
        assert re.fullmatch(r"\d+", value, re.ASCII)
    else:
        assert type(value) is int
    assert 1 <= int(value) <= 1_000_000
    return int(value)


def _decimals(currency: Any) -> int:
    assert isinstance(currency, str)
    assert currency not in NO_CURRENCIES
    if currency not in DECIMALS:
        raise LookupError(f"the oracle has not been told whether {currency!r} is a currency")
    return DECIMALS[currency]


def _amount(value: Any) -> Decimal:
    if isinstance(value, str):
        assert re.fullmatch(r"\d{1,12}(\.\d+)?", value, re.ASCII)
    else:
        assert type(value) in {int, Decimal}
    amount = Decimal(value)
    assert 0 <= amount < 10**12
    return amount


def minor_units(value: Any, decimals: int) -> int:
    """Return an amount in minor units. Text and whole numbers are exact, other numbers may be off by a hair."""
    amount = _amount(value) * 10**decimals
    nearest = amount.to_integral_value()
    assert abs(amount - nearest) <= (Decimal("1e-6") if isinstance(value, Decimal) else 0)
    return int(nearest)


def header(headers: Iterable[tuple[str, bytes | None]], name: str) -> bytes:
    """Return what the last header of that name holds; fails if there is none, or nothing in it."""
    content = dict(headers)[name]
    assert content is not None, f"header {name} holds nothing"
    return content


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's Java client gives a key: positive murmur2 modulo the partition count."""
    m, h = 0x5BD1E995, 0x9747B28C ^ len(key)
    while len(key) >= 4:
        k = key[0] + (key[1] << 8) + (key[2] << 16) + (key[3] << 24)
        k = k * m % 2**32
        k = (k ^ k >> 24) * m % 2**32
        h = (h * m % 2**32) ^ k
        key = key[4:]
    if key:
        for at, byte in enumerate(key):
            h ^= byte << (8 * at)
        h = h * m % 2**32
    h = (h ^ h >> 13) * m % 2**32
    h ^= h >> 15
    return h % 2**31 % partitions
