"""Status and probes: what a worker says of itself and of the others, and what it does not know."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.engine.errors import Unavailable
from app.engine.lane import LaneState
from app.settings import without_credentials
from app.topics import OUTCOMES_TABLE
from tests.unit.web_kit import Cluster, Program, cluster
from tools.local_kafka import free_port

# Customers of all partitions: 3, 1, 2, 0.
EVENTS = [
    {
        "event_type": "order.created",
        "event_id": "1",
        "timestamp": "2026-11-21T12:00:00Z",
        "order_id": "1",
        "customer_id": customer,
        "total_amount": 1,
        "currency": "GBP",
        "items": [{"sku": "mug", "qty": 1, "price": 1}],
    }
    for customer in ("c5", "c2", "c4", "c9")
]


@pytest.fixture
async def workers() -> AsyncIterator[Cluster]:
    """Two workers, two partitions each."""
    async with cluster(EVENTS, broker="kafka://user:secret@k1:9092;kafka://k2:9093/x?y=z") as running:
        yield running


async def _status(workers: Cluster, worker: int = 0) -> Any:
    answer = await workers.get("/api/status", worker)
    assert answer.status == 200
    return answer.json


@pytest.mark.parametrize("worker", [0, 1])
async def test_every_worker_tells_the_same_of_all(workers: Cluster, worker: int) -> None:
    """Whichever is asked."""
    for partition in workers.partitions:
        counts = partition.tables[OUTCOMES_TABLE]
        counts.load("duplicate", b"2")
        counts.load("dead_letter:invalid_event", b"3")
    workers.partitions[3].tables[OUTCOMES_TABLE].load("dead_letter:undecodable", b"1")
    a, b = workers.urls
    status = await _status(workers, worker)
    assert status.pop("version").count(".") == 2
    assert status.pop("health")["level"] == "healthy"
    assert status == {
        "app_id": "orderflow",
        "broker": "kafka://k1:9092;k2:9093",
        "ready": True,
        "workers": sorted(
            [{"url": a, "partitions": [0, 2], "silent": None}, {"url": b, "partitions": [1, 3], "silent": None}],
            key=lambda w: str(w["url"]),
        ),
        "partitions": [
            {
                "partition": partition,
                "owner": (a, b)[partition % 2],
                "state": "running",
                "next_offset": 7,
                "end_offset": 10,
                "lag": 3,
                "lag_seconds": None,
                "rows": 7 if partition < 3 else 8,
                "loaded": 0,
                "to_load": 0,
                "backlog": None,
            }
            for partition in range(4)
        ],
        "lag": 12,
        "outcomes": {
            "accepted": 4,
            "duplicate": 8,
            "forwarded": 0,
            "dead_letters": {"invalid_event": 12, "undecodable": 1},
        },
        "letters": {
            "open": 0,
            "states": {},
            "causes": {},
            "oldest_open_seconds": None,
            "last_minute": 0,
            "last_hour": 0,
        },
        "complete": True,
        "missing": [],
    }


async def test_what_cannot_be_asked_is_missing(workers: Cluster) -> None:
    """The rest is told all the same; what would be a sum of a part only is not."""
    dead = f"http://127.0.0.1:{free_port()}"
    workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: dead, 3: dead}
    status = await _status(workers)
    assert (status["complete"], status["ready"], status["lag"]) == (False, False, None)
    assert [each["partition"] for each in status["missing"]] == [1, 3]
    assert all(each["reason"].startswith(f"no answer from {dead}") for each in status["missing"])
    assert status["partitions"][1] == {
        "partition": 1,
        "owner": dead,
        "state": "unknown",
        "next_offset": None,
        "end_offset": None,
        "lag": None,
        "lag_seconds": None,
        "rows": None,
        "loaded": None,
        "to_load": None,
        "backlog": None,
    }
    assert status["partitions"][2]["lag"] == 3
    assert status["outcomes"]["accepted"] == 2
    (silent,) = [worker for worker in status["workers"] if worker["url"] == dead]
    assert silent["partitions"] == [1, 3]
    assert silent["silent"].startswith(f"no answer from {dead}")
    assert status["health"]["level"] == "critical"


async def test_a_partition_that_is_loading_is_missing(workers: Cluster) -> None:
    """Its rows are not all there, so they are not counted."""
    assert workers.nodes[1].engine is not None
    workers.nodes[1].engine.states[3] = LaneState.LOADING
    for worker in (0, 1):
        status = await _status(workers, worker)
        assert (status["complete"], status["ready"]) == (False, False)
        assert status["missing"] == [{"partition": 3, "reason": f"it is loading at {workers.urls[1]}"}]
        assert status["partitions"][3]["state"] == "loading"
        assert status["partitions"][3]["rows"] is None
        assert status["outcomes"]["accepted"] == 3


async def test_a_lag_that_is_not_known_is_not_nothing(workers: Cluster) -> None:
    """Who waits for a lag of 0 must not be told so by a worker that has not read anything yet."""
    assert workers.nodes[1].engine is not None
    workers.nodes[1].engine.end_offset = None
    status = await _status(workers)
    assert (status["complete"], status["ready"], status["lag"]) == (False, True, None)
    assert [each["partition"] for each in status["missing"]] == [1, 3]


async def test_a_partition_is_counted_at_its_owner_only(workers: Cluster) -> None:
    """A worker that lost it may not have noticed."""
    assert workers.nodes[0].engine is not None
    workers.nodes[0].engine.states[1] = LaneState.RUNNING
    status = await _status(workers)
    assert (status["lag"], status["outcomes"]["accepted"]) == (12, 4)


async def test_before_the_group_is_joined_all_is_missing(workers: Cluster) -> None:
    """And said so."""
    workers.nodes[0].engine = None
    workers.nodes[0].routes = {}
    status = await _status(workers)
    assert [each["reason"] for each in status["missing"]] == ["no worker owns it yet"] * 4
    assert {each["state"] for each in status["partitions"]} == {"unowned"}
    assert status["workers"] == [{"url": workers.urls[0], "partitions": [], "silent": None}]


async def test_the_status_takes_no_longer_than_the_time_limit() -> None:
    """A worker that does not answer at all is missing."""
    async with cluster(EVENTS, seconds=2.5) as workers, Program(None) as silent:
        workers.nodes[0].routes = dict(workers.nodes[0].routes) | {3: silent}
        async with asyncio.timeout(7.5):
            status = await _status(workers)
        assert status["missing"] == [{"partition": 3, "reason": f"no answer from {silent} within 2.5 s"}]


async def test_a_worker_is_ready_once_it_runs_all_that_it_owns(workers: Cluster) -> None:
    """Not before it has joined its group, and not while it loads; others do not matter."""
    node = workers.nodes[0]
    assert (await workers.get("/readyz")).json == {"status": "ready"}
    assert workers.nodes[1].engine is not None
    workers.nodes[1].engine.states[1] = LaneState.LOADING
    assert (await workers.get("/readyz")).status == 200
    engine, routes = node.engine, node.routes
    assert engine is not None
    engine.states[2] = LaneState.LOADING
    answer = await workers.get("/readyz")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert "2 loading" in answer.json["error"]["message"]
    engine.states = {}
    assert (await workers.get("/readyz")).status == 200
    node.routes = {}
    assert "not joined" in (await workers.get("/readyz")).json["error"]["message"]
    node.routes, node.engine = routes, None
    assert "not joined" in (await workers.get("/readyz")).json["error"]["message"]


async def test_a_worker_that_is_ending_is_not_healthy(workers: Cluster) -> None:
    """So that whoever watches it can start another; until then it is healthy, even before it is ready."""
    workers.nodes[0].engine = None
    assert (await workers.get("/healthz")).json == {"status": "ok"}
    workers.nodes[0].failure = Unavailable("Kafka did not answer")
    for probe in ("/healthz", "/readyz"):
        answer = await workers.get(probe)
        assert answer.status == 503
        assert "Kafka did not answer" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("broker", "shown"),
    [
        ("kafka://127.0.0.1:9092", "kafka://127.0.0.1:9092"),
        ("kafka://a:9092;kafka://b:9092", "kafka://a:9092;b:9092"),
        ("kafka://a:9092,b", "kafka://a:9092;b"),
        ("kafka://[::1]:9092", "kafka://[::1]:9092"),
        ("redis://:pass@host:6379/0", "redis://host:6379"),
        ("rediss://user:p@ss@host/0?password=x", "rediss://host"),
        ("redis://user:p;w@host", "redis://host"),
        ("embedded://", "embedded://"),
    ],
)
def test_credentials_are_never_shown(broker: str, shown: str) -> None:
    """Only scheme and hosts."""
    assert without_credentials(broker) == shown
