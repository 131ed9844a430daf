"""Strategies: order events as shops write them, with what must be read from them, and broken ones."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
from hypothesis import strategies as st

from models.events import MODELS, Event

Record = dict[str, Any]
CURRENCIES = {"GBP": 2, "EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)

id_texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\x7f"]), min_size=1
)


@st.composite
def ids(draw: st.DrawFn) -> tuple[Any, str]:
    """An id as written, and as held."""
    written = draw(id_texts.filter(lambda text: len(text) <= 255) | st.integers(-(2**63), 2**64 - 1))
    return written, str(written)


@st.composite
def times(draw: st.DrawFn) -> tuple[str, str]:
    """A time as written, and as held."""
    moment = draw(st.datetimes(datetime(1970, 1, 3), datetime(9998, 12, 29)))  # noqa: DTZ001  # the zone comes next
    minutes = draw(st.none() | st.integers(-1439, 1439))
    zone = UTC if minutes is None else timezone(timedelta(minutes=minutes))
    moment = moment.replace(microsecond=moment.microsecond // draw(st.sampled_from([1, 1000, 10**6])), tzinfo=zone)
    text = moment.strftime("%Y-%m-%d{}%H:%M:%S").replace("{}", draw(st.sampled_from("T ")))
    fraction = f"{moment.microsecond:06d}"
    digits = draw(st.integers(len(fraction.rstrip("0")), 6))
    text += f".{fraction[:digits]}" if digits else ""
    if minutes is None:
        text += draw(st.sampled_from(["Z", "", "+00:00", "-00:00"]))
    else:
        text += f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    held = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}" + (f".{fraction}".rstrip("0") if moment.microsecond else "")
    return text, held


@st.composite
def amounts(draw: st.DrawFn, decimals: int, least: int = 0, most: int = 10**9) -> tuple[Any, int]:
    """An amount as written (text, whole number, or a float with or without noise), and in minor units."""
    minor = draw(st.integers(least, most))
    exact = Decimal(minor).scaleb(-decimals)
    form = draw(st.sampled_from(["text", "padded", "whole", "float", "noisy"]))
    if form == "whole" and minor % 10**decimals == 0:
        return minor // 10**decimals, minor
    if form == "float":
        return float(exact), minor
    if form == "noisy" and minor:
        return float(exact) * (1 + draw(st.integers(-2, 2)) * 2.0**-52), minor
    text = f"{exact:f}"
    if form == "padded":
        text += ("" if "." in text else ".") + "0" * draw(st.integers(1, 30))
    return text, minor


@st.composite
def records(draw: st.DrawFn) -> tuple[Record, Event]:
    """A valid record, and the event that it holds."""
    event_type = draw(st.sampled_from([*MODELS, "order.created", "order.created"]))
    names = {name: draw(ids()) for name in ("event_id", "order_id", "customer_id")}
    timestamp, held_time = draw(times())
    record: Record = draw(st.dictionaries(st.text(max_size=12), json_values, max_size=2))
    record |= {"event_type": event_type, "timestamp": timestamp}
    record |= {name: written for name, (written, _) in names.items()}
    head = (event_type, names["event_id"][1], held_time, names["order_id"][1], names["customer_id"][1])
    if event_type == "order.created":
        fields, event = draw(_created_fields(head))
        return record | fields, event
    record.pop("amount", None)
    amount = None
    if event_type == "order.refunded":
        amount = draw(st.none() | amounts(2, least=1).map(lambda pair: pair[0]))
        if amount is not None or draw(st.booleans()):
            record["amount"] = amount
    return record, Event(*head, amount=amount)


@st.composite
def _created_fields(draw: st.DrawFn, head: tuple[str, str, str, str, str]) -> tuple[Record, Event]:
    currency = draw(st.sampled_from([*CURRENCIES]))
    total, held_total = draw(amounts(CURRENCIES[currency]))
    lines, items = [], []
    for _ in range(draw(st.integers(1, 4))):
        sku, held_sku = draw(ids())
        qty = draw(st.integers(1, 1_000_000))
        price, held_price = draw(amounts(CURRENCIES[currency], most=100_000))
        written_qty = draw(st.sampled_from([qty, str(qty), f"{qty:09d}"]))
        lines.append({"sku": sku, "qty": written_qty, "price": price})
        items.append((held_sku, qty, held_price))
    return {"total_amount": total, "currency": currency, "items": lines}, Event(
        *head, held_total, currency, tuple(items)
    )


FAULTS: dict[str, st.SearchStrategy[Any]] = {
    "event_type": st.just("order.lost") | json_values,
    "event_id": st.sampled_from(["", "a\x00", "\x7f", "x" * 256, 1.5, True, None]) | json_values,
    "order_id": json_values,
    "customer_id": json_values,
    "timestamp": st.sampled_from(["2026-02-30T00:00:00Z", "1969-12-31T23:59:59", "2026-11-21", 1, "1"]) | json_values,
    "total_amount": st.sampled_from(["NaN", "-1", "1.00001", 1e12, 10**12, -0.01, True]) | json_values,
    "currency": st.sampled_from(["gbp", "XXX", "", "JPY"]) | json_values,
    "items": st.sampled_from([[], [{}], [[]], ["sku"], {}, [{"sku": "s", "qty": 10**6, "price": 10**9}]]) | json_values,
    "amount": st.sampled_from([0, "0", "0.00", -0.0, "1e3", True]) | json_values,
}
LINE_FAULTS: dict[str, st.SearchStrategy[Any]] = {
    "sku": st.sampled_from(["", 0.5]) | json_values,
    "qty": st.sampled_from([0, -1, 1.0, "1.0", "", "0", "+1", 10**6 + 1, "9" * 30, True]) | json_values,
    "price": st.sampled_from(["0.00001", 0.00001, -1, "", "1e1", 10**12]) | json_values,
}


@st.composite
def broken_records(draw: st.DrawFn) -> Record:
    """A record with something done to it, which may make it invalid in one way or several, or not at all."""
    record, _ = draw(records())
    for field in draw(st.sets(st.sampled_from([*FAULTS]), min_size=1, max_size=2)):
        record[field] = draw(FAULTS[field])
    if draw(st.booleans()) and isinstance(record.get("items"), list):
        line = next((line for line in record["items"] if isinstance(line, dict)), {})
        field = draw(st.sampled_from([*LINE_FAULTS]))
        line[field] = draw(LINE_FAULTS[field])
    for field in draw(st.sets(st.sampled_from([*record]), max_size=1)):
        del record[field]
    return record


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """The bytes of a record with some of them overwritten, cut off or added."""
    value = orjson.dumps(draw(records())[0])
    start = draw(st.integers(0, len(value)))
    return value[:start] + draw(st.binary(max_size=4)) + value[start + draw(st.integers(0, 4)) :]


odd_values = st.sampled_from(
    [
        None,
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[" * 5000,
        b"[" * 1000 + b"]" * 1000,
        b'{"event_type":' * 900 + b"1" + b"}" * 900,
        b'{"event_type":"order.paid","event_id":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"event_type":"order.paid","event_id":' + b"9" * 300 + b"}",
        b'{"event_type":"order.paid","timestamp":1e400}',
        b'{"event_type":"\\ud800"}',
        b'{"event_type":"order.paid\\u0000"}',
        b'{"event_type":"\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
        b"{" + b" " * 1024 * 1024 + b"}",
        b'{"event_type":"order.paid"' + b" " * (1024 * 1024 - 27) + b"}",
    ]
)

values: st.SearchStrategy[bytes | None] = (
    records().map(lambda pair: orjson.dumps(pair[0]))
    | broken_records().map(orjson.dumps)
    | mangled()
    | st.binary(max_size=50)
    | json_values.map(orjson.dumps)
    | odd_values
)
"""What a topic may hold."""
