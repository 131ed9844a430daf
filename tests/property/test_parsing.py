"""Reading records: exact on every valid one, an EventError on every other, the same one by one and by column."""

from datetime import datetime
from random import Random

import orjson
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from models.columns import parse_events
from models.errors import MAX_MESSAGE, EventError
from models.events import Event, parse_event
from tests.property.records import Record, broken_records, records, values


def one_by_one(value: bytes | None) -> Event | EventError:
    try:
        return parse_event(value)
    except EventError as error:
        return error


def comparable(result: Event | EventError) -> object:
    """Events with the types of what they hold (1 == 1.0 == True), errors with all that they say."""
    if isinstance(result, EventError):
        return type(result), vars(result)
    return (
        result,
        [type(field) for field in astuple(result)],
        [[type(field) for field in item] for item in result.items],
    )


@given(st.lists(records(), max_size=12))
def test_a_valid_record_is_held_exactly(pairs: list[tuple[Record, Event]]) -> None:
    """Numbers or text, noise or none, any zone, unknown fields: what was meant is what is held."""
    written = [orjson.dumps(record) for record, _ in pairs]
    expected = [comparable(event) for _, event in pairs]
    assert [comparable(one_by_one(value)) for value in written] == expected
    assert [comparable(result) for result in parse_events(written)] == expected


@given(st.lists(values, max_size=12))
def test_columns_give_what_single_records_give(written: list[bytes | None]) -> None:
    """For every mix of valid and broken records, in the same order."""
    assert [comparable(result) for result in parse_events(written)] == [
        comparable(one_by_one(value)) for value in written
    ]


@given(st.lists(broken_records(), min_size=1, max_size=8), st.lists(records(), max_size=8), st.randoms())
def test_broken_records_spoil_no_others(
    broken: list[Record], valid: list[tuple[Record, Event]], random: Random
) -> None:
    """Every valid record among broken ones is read as if it were alone."""
    expected = {orjson.dumps(record): comparable(event) for record, event in valid}
    written = [*expected, *map(orjson.dumps, broken)]
    random.shuffle(written)
    for value, result in zip(written, parse_events(written), strict=True):
        assert value not in expected or comparable(result) == expected[value]


@given(values | st.binary(max_size=2000))
def test_nothing_but_an_event_error_is_raised(value: bytes | None) -> None:
    """Whatever the bytes; and the error can be written to headers: short, of known causes, encodable."""
    result = one_by_one(value)
    if isinstance(result, EventError):
        assert result.cause in {"undecodable", "invalid_event", "unknown_type"}
        assert 0 < len(result.message) <= MAX_MESSAGE
        for text in (result.message, result.event_type, result.event_id, result.order_id, result.customer_id):
            assert text is None or text.encode()
    else:
        assert all(0 < len(name) <= 255 for name in (result.event_id, result.order_id, result.customer_id))


@given(st.lists(records(), min_size=2, max_size=8))
def test_the_order_of_texts_is_that_of_times(pairs: list[tuple[Record, Event]]) -> None:
    """Held timestamps can be compared as they are, and their first 16 characters are the minute."""
    held = [parse_event(orjson.dumps(record)).timestamp for record, _ in pairs]
    assert sorted(held) == sorted(held, key=datetime.fromisoformat)
