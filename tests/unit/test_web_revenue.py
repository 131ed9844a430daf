"""Revenue over HTTP: which minutes belong to a time, how they add up, and that long answers hold nobody up."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.engine.state import PartitionState
from app.engine.turns import PASSES
from app.tables import TABLES
from app.web.reading import queries
from app.web.reading.queries import ByRange
from tests.unit.web_kit import Cluster, cluster

ALL = range(2, 10)  # customers of all partitions


def _created(time: str, customer: int = 2, currency: str = "GBP") -> dict[str, Any]:
    return {
        "event_type": "order.created",
        "event_id": "1",
        "timestamp": time,
        "order_id": f"{time}{currency}",
        "customer_id": f"c{customer}",
        "total_amount": "10.50" if currency == "GBP" else "10",
        "currency": currency,
        "items": [{"sku": "mug", "qty": 1, "price": "1"}],
    }


def _refunded(time: str, of: str, amount: str) -> dict[str, Any]:
    event = {"event_id": "3", "timestamp": time, "order_id": f"{of}GBP", "customer_id": "c2"}
    return event | {"event_type": "order.refunded", "amount": amount}


def _paid(of: str) -> dict[str, Any]:
    event = {"event_id": "2", "timestamp": of, "order_id": f"{of}GBP", "customer_id": "c2"}
    return event | {"event_type": "order.paid"}


EVENTS = [
    _created("2026-11-20T23:59:59.9Z"),
    *(_created("2026-11-21T12:00:30Z", n) for n in ALL),
    _created("2026-11-21T12:01:00Z"),
    _created("2026-11-21T13:00:00Z"),
    _paid("2026-11-21T13:00:00Z"),
    _refunded("2026-11-21T13:59:59Z", "2026-11-21T13:00:00Z", "0.51"),
    _created("2026-11-22T00:00:00Z"),
    _created("2026-11-21T12:00:00Z", 3, "JPY"),
]


@pytest.fixture
async def workers() -> AsyncIterator[Cluster]:
    """Two workers, two partitions each."""
    async with cluster(EVENTS) as running:
        yield running


def _bucket(start: str, orders: int, gross: str, refunded: str = "0.00", net: str | None = None) -> dict[str, Any]:
    return {"start": start, "orders": orders, "gross": gross, "refunded": refunded, "net": net or gross}


async def _starts(workers: Cluster, query: str) -> list[str]:
    answer = await workers.get(f"/api/revenue?currency=GBP&{query}")
    assert answer.status == 200, answer.json
    return [bucket["start"] for bucket in answer.json["buckets"]]


@pytest.mark.parametrize("worker", [0, 1])
async def test_minutes_are_summed_over_all_workers(workers: Cluster, worker: int) -> None:
    """In order of time; minutes without anything are left out."""
    answer = await workers.get(
        "/api/revenue?currency=GBP&from=2026-11-21T00:00:00Z&to=2026-11-22T00:00:00Z&step=1m", worker
    )
    assert answer.json == {
        "currency": "GBP",
        "from": "2026-11-21T00:00:00Z",
        "to": "2026-11-22T00:00:00Z",
        "step": "1m",
        "buckets": [
            _bucket("2026-11-21T12:00:00Z", 8, "84.00"),
            _bucket("2026-11-21T12:01:00Z", 1, "10.50"),
            _bucket("2026-11-21T13:00:00Z", 1, "10.50"),
            _bucket("2026-11-21T13:59:00Z", 0, "0.00", "0.51", "-0.51"),
        ],
    }


@pytest.mark.parametrize("worker", [0, 1])
async def test_minutes_add_up_to_hours_and_days(workers: Cluster, worker: int) -> None:
    """Of UTC."""
    hours = await workers.get("/api/revenue?currency=GBP&from=2026-11-21&to=2026-11-22&step=1h", worker)
    assert hours.json["buckets"] == [
        _bucket("2026-11-21T12:00:00Z", 9, "94.50"),
        _bucket("2026-11-21T13:00:00Z", 1, "10.50", "0.51", "9.99"),
    ]
    days = await workers.get("/api/revenue?currency=GBP&step=1d", worker)
    assert days.json["buckets"] == [
        _bucket("2026-11-20T00:00:00Z", 1, "10.50"),
        _bucket("2026-11-21T00:00:00Z", 10, "105.00", "0.51", "104.49"),
        _bucket("2026-11-22T00:00:00Z", 1, "10.50"),
    ]
    assert (days.json["from"], days.json["to"]) == (None, None)


async def test_currencies_are_never_mixed(workers: Cluster) -> None:
    """Yen have no decimals; a currency without orders has no buckets."""
    yen = await workers.get("/api/revenue?currency=JPY")
    assert yen.json["buckets"] == [_bucket("2026-11-21T12:00:00Z", 1, "10", "0")]
    assert (await workers.get("/api/revenue?currency=KWD")).json["buckets"] == []


@pytest.mark.parametrize(
    ("query", "starts"),
    [
        ("from=2026-11-21T12:00:00Z&to=2026-11-21T12:01:00Z", ["12:00"]),
        ("from=2026-11-21T12:00:00.000001Z&to=2026-11-21T12:01:00.000001Z", ["12:01"]),
        ("from=2026-11-21T12:01&to=2026-11-21T13:00", ["12:01"]),
        ("from=2026-11-21%2012:01&to=2026-11-21%2013:00", ["12:01"]),
        ("from=2026-11-21T14:01:00%2B02:00&to=2026-11-21T08:00:00-05:00", ["12:01"]),
        ("from=2026-11-21T14:01:00+02:00&to=2026-11-21T14:02:00+0200", ["12:01"]),
        ("from=2026-11-21T12:01:00Z&to=2026-11-21T12:01:00Z", []),
        ("from=2026-11-21T12:01:00Z&to=2026-11-21T13:00:00.5Z", ["12:01", "13:00"]),
        ("to=2026-11-21T12:00:00Z&from=0001-01-01", ["2026-11-20T23:59"]),
        ("from=2026-11-22T00:00:00Z", ["2026-11-22T00:00"]),
        ("from=2026-11-22T00:00:00Z&to=9999-12-31T23:59:59Z", ["2026-11-22T00:00"]),
    ],
)
async def test_a_minute_belongs_to_a_time_if_it_begins_in_it(workers: Cluster, query: str, starts: list[str]) -> None:
    """`from` is the first moment, `to` the first one that is not; an offset may lack the escape of its plus sign."""
    full = [start if "T" in start else f"2026-11-21T{start}" for start in starts]
    assert await _starts(workers, query) == [f"{start}:00Z" for start in full]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "currency"),
        ("currency=", "currency"),
        ("currency=gbp", "currency"),
        ("currency=XXX", "currency"),
        ("currency=GBP%1F", "currency"),
        ("currency=GBP&step=", "step"),
        ("currency=GBP&step=1w", "step"),
        ("currency=GBP&from=", "from"),
        ("currency=GBP&from=yesterday", "from"),
        ("currency=GBP&from=1795262400", "from"),
        ("currency=GBP&from=2026-02-30", "from"),
        ("currency=GBP&from=0001-01-01T00:00:00%2B14:00", "from"),
        ("currency=GBP&to=9999-12-31T23:59:59-14:00", "to"),
        ("currency=GBP&to=2026-11-21T12:00:00Z%00", "to"),
        ("currency=GBP&from=2026-11-21&to=2026-11-20", "to"),
        ("currency=GBP&form=2026-11-21", "form"),
        ("currency=GBP&currency=EUR", "currency"),
        (f"currency=GBP&from={'1' * 10_000}", "from"),
    ],
)
async def test_a_parameter_that_cannot_be_used_is_named(workers: Cluster, query: str, named: str) -> None:
    """400, at once."""
    answer = await workers.get(f"/api/revenue?{query}")
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_parameter")
    assert answer.json["error"]["message"].strip("'").startswith(named)
    assert len(answer.json["error"]["message"]) < 500


async def test_the_last_minute_there_is_can_be_the_end(workers: Cluster) -> None:
    """No overflow at the end of the calendar."""
    assert await _starts(workers, "from=9999-12-31T23:59:00.5Z") == []


@pytest.mark.parametrize("worker", [0, 1])
async def test_too_long_an_answer_is_refused(workers: Cluster, worker: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """400, also when another worker finds that out; a longer step has an answer."""
    monkeypatch.setattr(queries, "MAX_SUMS", 3)
    answer = await workers.get("/api/revenue?currency=GBP&step=1m", worker)
    assert (answer.status, answer.json["error"]["code"]) == (400, "too_many_rows")
    assert (await workers.get("/api/revenue?currency=GBP&step=1d", worker)).status == 200


# --- the scan -------------------------------------------------------------------------------------------------------

MINUTES = 10_000


def _minutes() -> Iterator[str]:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    return ((begin + timedelta(minutes=n)).isoformat()[:16] for n in range(MINUTES))


def _long_partition() -> PartitionState:
    partition = PartitionState([named.table for named in TABLES])
    for minute in _minutes():
        partition.load("revenue", f"GBP\x1f{minute}", b"[1,100,0]")
    return partition


async def test_others_have_their_turn_while_a_long_answer_is_made() -> None:
    """A scan never holds the loop for more than a slice of rows."""
    rows = _long_partition().tables["revenue"]
    scan = asyncio.create_task(_sums(rows))
    turns = 0
    while not scan.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= MINUTES // queries.SLICE
    assert queries.SLICE <= 2_000
    assert sum(row.orders for row in scan.result().values()) == MINUTES


async def test_a_long_answer_is_as_of_one_moment() -> None:
    """What is committed during the scan is either all in it or not at all: here, not at all."""
    partition = _long_partition()
    rows = partition.tables["revenue"]
    scan = asyncio.create_task(_sums(rows))
    for _ in range(2 * PASSES):  # it has had its first turn
        await asyncio.sleep(0)
    assert not scan.done()
    for minute in _minutes():
        partition.load("revenue", f"GBP\x1f{minute}", b"[2,200,0]")
    partition.load("revenue", "GBP\x1f2026-12-31T00:00", b"[1,100,0]")
    assert sum(row.orders for row in (await scan).values()) == MINUTES


async def _sums(rows: Any) -> Mapping[str, Any]:
    return {key: row async for key, row in ByRange("revenue", "GBP\x1f", "GBP ", 14).select(rows)}
