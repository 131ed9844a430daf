"""A record becomes an event, or an error that names the field and the fault."""

from typing import Any

import orjson
import pytest
from msgspec.structs import astuple

from models.columns import parse_events
from models.errors import MAX_MESSAGE, EventError
from models.events import MAX_VALUE_BYTES, MODELS, Event, parse_event

CREATED: dict[str, Any] = {
    "event_type": "order.created",
    "event_id": "evt-1",
    "timestamp": "2026-11-21T12:00:00Z",
    "order_id": "ord-1",
    "customer_id": "cust-1",
    "total_amount": "129.97",
    "currency": "GBP",
    "items": [{"sku": "sku-1", "qty": 2, "price": "49.99"}, {"sku": "sku-2", "qty": 1, "price": "29.99"}],
}


def record(**changes: Any) -> bytes:
    return orjson.dumps(CREATED | changes)


def refund(**changes: Any) -> bytes:
    head = {key: CREATED[key] for key in ("event_id", "timestamp", "order_id", "customer_id")}
    return orjson.dumps({"event_type": "order.refunded", **head, **changes})


def line(**changes: Any) -> bytes:
    return record(items=[CREATED["items"][0], {"sku": "s", "qty": 1, "price": "1"} | changes])


def error_of(value: bytes | None) -> EventError:
    """The error of a value, the same from one value as from a column of them."""
    with pytest.raises(EventError) as caught:
        parse_event(value)
    (among_others,) = [result for result in parse_events([record(), value, record()]) if isinstance(result, EventError)]
    assert vars(among_others) == vars(caught.value)
    return caught.value


def event_of(value: bytes) -> Event:
    event = parse_event(value)
    assert parse_events([record(), value, None])[1] == event
    return event


def test_a_created_order_is_held_exactly() -> None:
    """Money is held in minor units, the time in UTC without suffix."""
    assert event_of(record()) == Event(
        "order.created",
        "evt-1",
        "2026-11-21T12:00:00",
        "ord-1",
        "cust-1",
        12997,
        "GBP",
        (("sku-1", 2, 4999), ("sku-2", 1, 2999)),
        None,
    )


@pytest.mark.parametrize("event_type", sorted(MODELS))
def test_every_type_is_read_and_its_free_details_are_ignored(event_type: str) -> None:
    """The six types share one head; what we do not know is not looked at."""
    event = event_of(record(event_type=event_type, tracking={"by": ["ship", None]}, instant=5, attempt=1))
    assert astuple(event)[:5] == (event_type, "evt-1", "2026-11-21T12:00:00", "ord-1", "cust-1")
    assert (event.total is not None) == (event_type == "order.created")


def test_numbers_are_as_good_as_text() -> None:
    """Shops send ids, amounts and quantities as JSON numbers or as text."""
    event = event_of(
        record(
            event_id=17,
            order_id=-4,
            customer_id=2**64 - 1,
            total_amount=30.299999999999997,
            items=[{"sku": 5, "qty": "003", "price": 10}],
        )
    )
    assert (event.event_id, event.order_id, event.customer_id) == ("17", "-4", "18446744073709551615")
    assert event.total == 3030
    assert event.items == (("5", 3, 1000),)


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("2026-11-21T12:00:00Z", "2026-11-21T12:00:00"),
        ("2026-11-21T12:00:00", "2026-11-21T12:00:00"),
        ("2026-11-21 12:00:00", "2026-11-21T12:00:00"),
        ("2026-11-21T12:00:00+00:00", "2026-11-21T12:00:00"),
        ("2026-11-21T12:00:00-00:00", "2026-11-21T12:00:00"),
        ("2026-11-21T12:00:00.5Z", "2026-11-21T12:00:00.5"),
        ("2026-11-21T12:00:00.500Z", "2026-11-21T12:00:00.5"),
        ("2026-11-21T12:00:00.000Z", "2026-11-21T12:00:00"),
        ("2026-11-21T12:00:00.000001Z", "2026-11-21T12:00:00.000001"),
        ("2026-11-21T12:00:00.010", "2026-11-21T12:00:00.01"),
        ("2026-11-21T00:30:00+05:30", "2026-11-20T19:00:00"),
        ("2026-12-31T23:59:59.9-00:01", "2027-01-01T00:00:59.9"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00"),
        ("9998-12-31T23:59:59Z", "9998-12-31T23:59:59"),
    ],
)
def test_a_time_is_held_as_utc_in_one_form(written: str, held: str) -> None:
    """However it was written, so that the order of the texts is the order of the times."""
    assert event_of(record(timestamp=written)).timestamp == held


@pytest.mark.parametrize(
    "written",
    [
        "2026-02-30T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2026-02-30T00:00:00+01:00",
        "2026-11-21T24:00:00Z",
        "2026-11-21T12:60:00Z",
        "2026-11-21T12:00:60Z",
        "2026-11-21T12:00:00+24:00",
        "2026-11-21T12:00:00+01:60",
        "2026-11-21T12:00:00+0100",
        "2026-11-21T12:00:00z",
        "2026-11-21t12:00:00Z",
        "2026-11-21_12:00:00Z",
        "2026-11-21T12:00:00.Z",
        "2026-11-21T12:00:00.1234567Z",
        "2026-11-21T12:00:00Z ",
        "2026-11-21T12:00:00Z\n",
        "2026-11-21T12:00Z",
        "2026-11-21",
        "2026-W47-6T12:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "9998-12-31T23:59:59-00:01",
        "9999-01-01T00:00:00Z",
        "٢٠٢٦-11-21T12:00:00Z",
        "1795262400",
        "",
        1795262400,
        1795262400.5,
        None,
        True,
        [],
    ],
)
def test_what_is_no_time_is_refused(written: object) -> None:
    """No numbers, no dates alone, no days that do not exist, nothing whose UTC year is not 1970 to 9998."""
    error = error_of(record(timestamp=written))
    assert error.cause == "invalid_event"
    assert error.message.startswith("timestamp: ")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (record(event_id=""), "event_id: must not be empty, got ''"),
        (record(event_id="a\x00b"), "event_id: must not hold control characters, got 'a\\x00b'"),
        (record(order_id="a\x7f"), "order_id: must not hold control characters, got 'a\\x7f'"),
        (record(order_id=1.0), "order_id: must be text or a whole number, got 1.0"),
        (record(order_id=True), "order_id: must be text or a whole number, got true"),
        (record(customer_id=None), "customer_id: must be text or a whole number, got null"),
        (record(customer_id=["a"]), "customer_id: must be text or a whole number, got a list of 1"),
        (record(customer_id={}), "customer_id: must be text or a whole number, got an object"),
        (record(currency="gbp"), "currency: must be a currency code of ISO 4217, got 'gbp'"),
        (record(currency="XXX"), "currency: must be a currency code of ISO 4217, got 'XXX'"),
        (record(currency=["GBP"]), "currency: must be a currency code of ISO 4217, got a list of 1"),
        (record(total_amount="1.234"), "total_amount: must have at most 2 decimals, got '1.234'"),
        (record(total_amount=1.5, currency="JPY"), "total_amount: must have no decimals, got 1.5"),
        (record(items=[]), "items: must have at least 1 item, got a list of 0"),
        (record(items=CREATED["items"] * 251), "items: must have at most 500 items, got a list of 502"),
        (record(items={"0": {}}), "items: must be a list, got an object"),
        (record(items=None), "items: must be a list, got null"),
        (record(items=["sku"]), "items.0: must be an object, got 'sku'"),
        (line(sku=""), "items.1.sku: must not be empty, got ''"),
        (line(qty=0), "items.1.qty: must be at least 1, got 0"),
        (line(qty="0"), "items.1.qty: must be at least 1, got '0'"),
        (line(qty=-1), "items.1.qty: must be at least 1, got -1"),
        (line(qty=1_000_001), "items.1.qty: must be at most 1000000, got 1000001"),
        (line(qty="9" * 18), "items.1.qty: must be at most 1000000, got '999999999999999999'"),
        (line(qty=1.0), "items.1.qty: must be a whole number, got 1.0"),
        (line(qty=True), "items.1.qty: must be a whole number, got true"),
        (line(qty="+1"), "items.1.qty: must be a whole number, got '+1'"),
        (line(qty="1_0"), "items.1.qty: must be a whole number, got '1_0'"),
        (line(price="0.001"), "items.1.price: must have at most 2 decimals, got '0.001'"),
        (line(qty=10**6, price=10**6), "items: must be worth less than 1,000,000,000,000 together"),
        (refund(amount=0), "amount: must be an amount above zero, got 0"),
        (refund(amount="0.000"), "amount: must be an amount above zero, got '0.000'"),
        (refund(amount=-0.0), "amount: must be an amount above zero, got -0.0"),
        (refund(amount=-1), "amount: must be an amount above zero, got -1"),
        (refund(amount=True), "amount: must be an amount above zero, got true"),
        (b"{}", "event_type: is missing"),
        (record(event_type=None), "event_type: must be text, got null"),
        (record(event_type=["order.paid"]), "event_type: must be text, got a list of 1"),
        (b"[]", "the value must be a JSON object, got a list of 0"),
        (b"[" * 1000 + b"]" * 1000, "the value must be a JSON object, got a list of 1"),
        (b"12", "the value must be a JSON object, got 12"),
        (b"null", "the value must be a JSON object, got null"),
        (b'"order.paid"', "the value must be a JSON object, got 'order.paid'"),
    ],
)
def test_an_invalid_event_says_where_and_what(value: bytes, message: str) -> None:
    """The message names the field's path, the rule, and what stood there."""
    error = error_of(value)
    assert (error.cause, error.message) == ("invalid_event", message)


@pytest.mark.parametrize(
    "amount",
    ["", "-1", "1e3", "NaN", "Infinity", " 1", "1,5", "1" * 13, -1, -0.5, 10**12, 1e12, True, None, [], {}],
)
def test_what_is_no_amount_is_refused(amount: object) -> None:
    """Wherever an amount is due."""
    assert error_of(record(total_amount=amount)).message.startswith("total_amount: must be an amount such as")
    assert error_of(line(price=amount)).message.startswith("items.1.price: must be an amount such as")


def test_zero_is_an_amount_but_for_refunds() -> None:
    """Orders and items may be free of charge; to give nothing back is no refund."""
    assert event_of(record(total_amount=0, items=[{"sku": "s", "qty": 1, "price": "0.00"}])).total == 0
    assert error_of(refund(amount="0")).cause == "invalid_event"


@pytest.mark.parametrize(
    ("changes", "amount"), [({}, None), ({"amount": None}, None), ({"amount": "5.00"}, "5.00"), ({"amount": 5}, 5)]
)
def test_a_refund_keeps_its_amount_as_written(changes: dict[str, Any], amount: object) -> None:
    """Only the order knows the currency; absent and null both mean all that remains."""
    assert event_of(refund(**changes)).amount == amount


@pytest.mark.parametrize("field", [*CREATED])
def test_no_field_may_be_missing(field: str) -> None:
    """The message says which one is."""
    without = {key: value for key, value in CREATED.items() if key != field}
    error = error_of(orjson.dumps(without))
    assert (error.cause, error.message) == ("invalid_event", f"{field}: is missing")


def test_all_faults_are_named() -> None:
    """Whoever mends a record wants to mend it once."""
    assert error_of(record(event_id="", currency="?", items=[{"qty": 0}])).message == (
        "event_id: must not be empty, got ''; currency: must be a currency code of ISO 4217, got '?'; "
        "items.0.sku: is missing; items.0.qty: must be at least 1, got 0; items.0.price: is missing"
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"not json",
        b"\x00\x01\x02",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"event_type": "order.paid"',
        b'{"event_type": "\xff"}',
        b'{"event_id": "\\ud800"}',
        record()[:-1] + b',"x":NaN}',
        record()[:-1] + b',"x":1e400}',
        record()[:-1] + b',"x":' + b"9" * 400 + b"}",
        record()[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        record() + record(),
    ],
)
def test_what_is_not_json_is_undecodable(value: bytes | None) -> None:
    """A missing value, another encoding, numbers that are none, and nesting without end."""
    assert error_of(value).cause == "undecodable"


def test_an_unknown_type_is_told_from_an_invalid_event() -> None:
    """Somebody may just be ahead of us, whatever the rest looks like."""
    error = error_of(record(event_type="order.lost", total_amount="?"))
    assert (error.cause, error.message) == ("unknown_type", "event_type: no such type as 'order.lost'")
    assert error.event_type == "order.lost"


def test_a_huge_value_is_refused_unread() -> None:
    """1 MiB is taken, one byte more is not, whatever it holds."""
    padding = MAX_VALUE_BYTES - len(record(x=""))
    assert event_of(record(x="a" * padding)).event_id == "evt-1"
    error = error_of(record(x="a" * (padding + 1)))
    assert error.message == "the value has 1,048,577 bytes; at most 1,048,576 are taken"
    assert (error.cause, error.event_id) == ("invalid_event", None)


def test_an_error_names_what_could_be_read() -> None:
    """So that a dead letter can be found by its ids, though the event is broken."""
    error = error_of(record(timestamp=5, order_id=12, customer_id=True))
    assert (error.event_type, error.event_id, error.order_id, error.customer_id) == (
        "order.created",
        "evt-1",
        "12",
        None,
    )


@pytest.mark.parametrize(
    "value",
    [
        record(event_id="x" * 100_000),
        record(currency="\u202e" * 1000),
        record(event_type="\x00" * 100_000),
        record(total_amount=10**18),
        record(items=[{"sku": "x" * 1000, "qty": "y" * 1000, "price": "z" * 1000}] * 500),
        record(customer_id="❤" * 1000, order_id="\x00" * 500, event_id=[[]] * 1000),
    ],
)
def test_a_message_is_short(value: bytes) -> None:
    """It echoes at most 64 characters of a value, and is cut at 500."""
    error = error_of(value)
    assert 0 < len(error.message) <= MAX_MESSAGE
    for fault in error.message.split("; "):
        assert len(fault.partition(", got ")[2]) <= 64


def test_the_last_of_two_equal_keys_wins() -> None:
    """As with most JSON readers; JSON itself leaves it open."""
    assert event_of(record()[:-1] + b',"order_id":"last"}').order_id == "last"


def test_columns_keep_order_and_length() -> None:
    """Each value has its answer at its own place, whatever the neighbours are."""
    values = [record(event_id=str(n), event_type=[*MODELS][n % 6]) if n % 7 else b"?" for n in range(500)]
    results = parse_events(values)
    assert [r.event_id if isinstance(r, Event) else None for r in results] == [
        str(n) if n % 7 else None for n in range(500)
    ]
    assert parse_events([]) == []


@pytest.mark.parametrize("fault", [{"event_id": ""}, {"items": []}, {"items": [{}]}, {"total_amount": "0.001"}])
def test_a_broken_record_spoils_only_itself(fault: dict[str, Any]) -> None:
    """The others of its column are taken as if it were not there."""
    values = [record(**{"order_id": n} | (fault if n % 100 == 3 else {})) for n in range(500)]
    results = parse_events(values)
    assert [n for n, result in enumerate(results) if isinstance(result, EventError)] == [3, 103, 203, 303, 403]
    assert [result.order_id for result in results] == [str(n) for n in range(500)]
