"""Sample events: reproducible, well-formed, and in an order that real orders accept."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sources.broken import broken_record
from app.sources.samples import DEFAULT_START, bundled_events, sample_events
from tests.oracle import LogRecord, expect

seeds = st.integers(min_value=0, max_value=2**32 - 1)
shares = st.sampled_from([0.0, 0.01, 0.2, 0.5])


def loaded(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


@given(seeds, st.sampled_from([None, 0, 1, 7, 1_000]), st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001 - given a zone below
def test_every_event_is_one_line_of_json_with_the_fields_of_its_type(
    seed: int, customers: int | None, start: datetime
) -> None:
    """Built as text, the events are JSON all the same."""
    lines = list(sample_events(150, seed, customers, start=start.replace(tzinfo=UTC)))
    assert not any(b"\n" in line for line in lines)
    for event in loaded(lines):
        assert event.keys() >= {"event_type", "event_id", "timestamp", "order_id", "customer_id"}
        written = datetime.fromisoformat(event["timestamp"])
        behind = start.replace(tzinfo=UTC) - (written if written.tzinfo else written.replace(tzinfo=UTC))
        assert -60 < behind.total_seconds() < 4
        if event["event_type"] == "order.created":
            assert event["currency"]
            assert event["items"]


@given(seeds, shares, shares)
def test_a_seed_gives_the_same_events_every_time(seed: int, invalid: float, duplicates: float) -> None:
    """Nothing but the arguments decides what comes out, and more events do not change the first ones."""
    first = list(sample_events(300, seed, 50, invalid, duplicates))
    assert first == list(islice(sample_events(1_000, seed, 50, invalid, duplicates), 300))


def test_another_seed_gives_other_orders() -> None:
    """Two seeds can be sent to one topic without a clash."""
    ids = [{str(event["order_id"]) for event in loaded(sample_events(500, seed))} for seed in (1, 2)]
    assert not ids[0] & ids[1]


@given(seeds)
def test_event_ids_are_unique(seed: int) -> None:
    """Only a duplicate made on purpose is a duplicate."""
    ids = Counter(str(event["event_id"]) for event in loaded(sample_events(500, seed)))
    assert max(ids.values()) == 1


@given(seeds, shares, shares)
def test_faults_leave_the_other_events_as_they_are(seed: int, invalid: float, duplicates: float) -> None:
    """Without broken records and repetitions, what remains is the stream without faults."""
    clean = list(sample_events(400, seed, 20))
    kept = []
    seen = set()
    for line in sample_events(400, seed, 20, invalid, duplicates):
        if line in clean and line not in seen:
            kept.append(line)
            seen.add(line)
    assert kept == clean[: len(kept)]


def test_the_shares_of_faults_are_as_asked() -> None:
    """`invalid` and `duplicates` are shares of all records."""
    lines = list(sample_events(20_000, invalid=0.02, duplicates=0.03))
    clean = set(sample_events(20_000))
    counts = Counter(lines)
    repeated = sum(counts[line] - 1 for line in counts if line in clean)
    broken = sum(count for line, count in counts.items() if line not in clean)
    assert 0.025 < repeated / 20_000 < 0.035
    assert 0.015 < broken / 20_000 < 0.025


def test_duplicates_are_the_same_bytes_again_and_later() -> None:
    """A repetition is what a producer that lost an acknowledgement sends."""
    lines = list(sample_events(2_000, duplicates=0.5))
    assert set(lines) <= set(sample_events(2_000))
    assert 0.4 < 1 - len(set(lines)) / len(lines) < 0.6


def test_customers_is_how_many_there_are() -> None:
    """A customer's id counts once, whether it was sent as a number or as text."""
    events = loaded(sample_events(5_000, customers=20))
    assert len({str(event["customer_id"]) for event in events}) == 20


def test_without_a_number_of_customers_each_order_has_its_own() -> None:
    """The benchmark in which every key is new."""
    created = [e for e in loaded(sample_events(5_000, customers=0)) if e["event_type"] == "order.created"]
    assert len({str(event["customer_id"]) for event in created}) == len(created)
    assert list(sample_events(50, customers=0)) == list(sample_events(50, customers=None))


def test_there_is_some_of_everything() -> None:
    """The sample shows all types, currencies of 0, 2 and 3 decimals, numbers and texts, and all ways to write time."""
    events = loaded(sample_events(20_000))
    created = [event for event in events if event["event_type"] == "order.created"]
    suffixes = {event["timestamp"][19:].lstrip(".0123456789") for event in events}
    assert len({event["event_type"] for event in events}) == 6
    assert {event["currency"] for event in created} == {"GBP", "EUR", "USD", "JPY", "KWD", "SEK"}
    assert suffixes == {"Z", "", "+02:00", "-05:00", "+05:30"}
    for field in ("event_id", "order_id", "customer_id"):
        assert {type(event[field]) for event in events} == {str, int}
    assert {type(event["total_amount"]) for event in created} == {str, int, float}
    assert {type(item["qty"]) for event in created for item in event["items"]} == {str, int}
    assert {len(event["items"]) for event in created} == {1, 2, 3}
    assert any("amount" not in event for event in events if event["event_type"] == "order.refunded")


def test_created_events_are_about_300_bytes() -> None:
    """What the benchmarks measure with."""
    created = [line for line in sample_events(20_000) if b'"order.created"' in line]
    assert 250 < sum(map(len, created)) / len(created) < 350


def test_orders_go_on_side_by_side() -> None:
    """Many orders are open at once, and the same customer may have several."""
    events = loaded(sample_events(2_000, customers=20))
    neighbours = sum(a["order_id"] != b["order_id"] for a, b in pairwise(events))
    assert neighbours > 1_800


def test_broken_records_are_of_many_kinds() -> None:
    """Each kind comes once before one comes again, and fits on a line."""
    earlier = next(sample_events(1))
    # what tells two records of one kind apart is only their number
    kinds = {
        broken_record(n, 1, earlier, DEFAULT_START).replace(b"%06d" % n, b"").replace(b"-%03d" % n, b"")
        for n in range(84)
    }
    assert len(kinds) >= 82  # some kinds are there twice, so that they are more frequent
    assert not any(b"\n" in record for record in kinds)


@pytest.mark.parametrize(
    "arguments",
    [
        {"count": -1},
        {"count": 1, "seed": -1},
        {"count": 1, "customers": -1},
        {"count": 1, "invalid": 1.1},
        {"count": 1, "invalid": 0.6, "duplicates": 0.6},
        {"count": 1, "pace": -1},
        {"count": 1, "start": datetime(2026, 11, 21)},  # noqa: DTZ001 - that is the point
    ],
)
def test_arguments_without_a_meaning_are_refused(arguments: dict[str, Any]) -> None:
    """At once, not when the first event is asked for."""
    with pytest.raises(ValueError, match=r"\w"):
        sample_events(**arguments)


def test_the_bundled_file_is_what_its_seed_gives() -> None:
    """If the generator was changed on purpose, write `bundled_events()` to the file again, one event a line."""
    bundled = Path(__file__).parents[2] / "samples" / "orders.jsonl"
    assert bundled.read_bytes().splitlines() == list(bundled_events())


def test_the_bundled_file_shows_what_there_is_to_see() -> None:
    """A new user finds 20 customers, orders in every status, some duplicates and a few dead letters of two causes."""
    expected = expect([LogRecord(0, n, None, event) for n, event in enumerate(bundled_events())], "orders", 1)
    assert len(expected.tables["customers"]) == 20
    assert {row["status"] for row in expected.tables["orders"].values()} == {
        "created", "paid", "shipped", "delivered", "cancelled", "refunded"
    }  # fmt: skip
    assert expected.outcomes["duplicate"] >= 2
    assert 2 <= len(expected.dead_letters) <= 10
    assert {cause for causes in expected.dead_letters.values() for cause in causes} == {"undecodable", "invalid_event"}
