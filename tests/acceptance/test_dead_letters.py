"""What a careful buyer tries: an event that fails every time, a burst of bad ones, figures that tell of both."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from app.sources.samples import sample_events
from tests.acceptance.conftest import NewScene
from tests.acceptance.judge import judge
from tests.acceptance.scene import PARTITIONS, Scene
from tests.contract.brokers.every import over
from tests.fraud_server import FraudServer
from tests.oracle_events import partition_of
from tests.waiting import wait_until
from tests.workers import Worker

pytestmark = pytest.mark.timeout(180)


def letters(worker: Worker, *options: str) -> list[dict[str, Any]]:
    """Return letters as the command lists them."""
    result = worker.command("dead-letters", "list", "--json", *options)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def stats(worker: Worker) -> dict[str, Any]:
    """Return what the command tells of all letters."""
    result = worker.command("dead-letters", "stats", "--json")
    assert result.returncode == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def lag(worker: Worker) -> int:
    """Return how many records wait, as a worker says."""
    with urlopen(f"{worker.url}/api/status", timeout=10) as answer:  # noqa: S310 - http, on this machine
        return sum(each["lag"] or 0 for each in json.load(answer)["partitions"])


@pytest.fixture
def fraud(tmp_path: Path) -> Iterator[FraudServer]:
    """A fraud service that says no to nobody."""
    with FraudServer() as server:
        yield server


def created(customer: str, order: str) -> bytes:
    """Return an event that the check looks at."""
    return json.dumps(
        {
            "event_type": "order.created",
            "event_id": f"e-{customer}-{order}",
            "timestamp": "2026-11-21T12:00:00Z",
            "order_id": order,
            "customer_id": customer,
            "total_amount": "12.00",
            "currency": "GBP",
            "items": [{"sku": "tea", "qty": 1, "price": "12.00"}],
        }
    ).encode()


@pytest.mark.parametrize("new_scene", over(long=["redis", "kafka"]), indirect=True)
def test_an_event_that_fails_every_time_is_a_letter_with_its_history(new_scene: NewScene, fraud: FraudServer) -> None:
    """And once the service answers again, it is sent through by hand; what came after it follows."""
    settings = {"check": "tests.apps.fraud:check", "retry_attempts": 3, "retry_longest": 0.5}
    scene = new_scene(settings, {"FRAUD_URL": fraud.url})
    (worker,) = scene.start_workers(1)
    paid = created("down", "1").replace(b"order.created", b"order.paid").replace(b"e-down-1", b"e-paid")
    with scene.shop([created("good", "1"), created("down", "1"), paid], per_second=100) as shop:
        shop.finish()

    def its_letters(*options: str) -> list[dict[str, Any]]:
        return letters(worker, "--customer-id", "down", *options)

    wait_until(
        lambda: [each["state"] for each in its_letters()] == ["dead", "parked"], 60, "a dead letter", worker.tail
    )
    dead, parked = its_letters()
    assert (dead["cause"], dead["attempts"], dead["redrives"]) == ("check_failed", 3, 0)
    assert parked["event_type"] == "order.paid"
    shown = json.loads(worker.command("dead-letters", "show", dead["id"]).stdout)
    assert [entry["deed"] for entry in shown["history"]] == ["retrying", "retrying", "failed"]
    assert json.loads(shown["record"]["value"]["text"])["order_id"] == "1"
    fraud.down = False
    result = worker.command("dead-letters", "redrive", dead["id"])
    assert result.returncode == 0, result.stderr
    wait_until(lambda: its_letters() == [], 30, "no open letters", worker.tail)
    order = json.loads(worker.command("show", "orders", "1", "--customer-id", "down").stdout)
    assert [each["event_id"] for each in order["events"]] == ["e-down-1", "e-paid"]
    assert {each["state"] for each in its_letters("--all")} == {"resolved"}


@pytest.mark.parametrize("scene", over(long=["redis", "kafka"]), indirect=True)
@pytest.mark.parametrize("size", [1_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_a_burst_of_bad_events_is_worked_off_and_nothing_is_lost(scene: Scene, size: int) -> None:
    """The lag rises and falls to nothing; every bad event is a letter, every good one counts; figures say so."""
    first, _ = scene.start_workers(2)
    bad = [b'{"event_type":"order.created","n":%d}' % n for n in range(size)]
    good = list(sample_events(2_000, seed=8))
    lags = [0]
    with scene.shop([*good[:1_000], *bad, *good[1_000:]], per_second=50_000) as shop, ThreadPoolExecutor(1) as aside:
        sending = aside.submit(shop.finish)
        while not (sending.done() and scene.is_processed()):
            lags.append(lag(first))
        sending.result()
        expected = judge(scene, shop.sent, reader=first)
    assert size < 100_000 or max(lags) > 1_000, "a smaller burst may be over before anybody has looked"
    dead = {
        name.removeprefix("dead_letter:"): count
        for name, count in expected.outcomes.items()
        if name.startswith("dead_letter:")
    }
    assert dead["invalid_event"] >= size
    wait_until(lambda: lag(first) == 0, 10, "no lag")
    told = stats(first)
    assert (told["open"], told["states"], told["causes"]) == (sum(dead.values()), {"dead": sum(dead.values())}, dead)
    assert told["last_hour"] == sum(dead.values())
    assert told["oldest_open_seconds"] > 0


@pytest.mark.parametrize("new_scene", over(long=["redis", "kafka"]), indirect=True)
def test_a_worker_that_is_killed_within_a_check_costs_nothing(new_scene: NewScene, fraud: FraudServer) -> None:
    """The event is checked again by who takes over, and counts once; those behind it and beside it too."""
    scene = new_scene({"check": "tests.apps.fraud:check", "check_timeout": 60}, {"FRAUD_URL": fraud.url})
    first, second = scene.start_workers(2)
    events = [created("slow", "1"), created("slow", "2"), *(created(f"good{n}", "1") for n in range(50))]
    with scene.shop(events, per_second=1_000) as shop:
        shop.finish()
        wait_until(lambda: "/slow/1" in fraud.calls, 30, "a call", scene.workers.tails)
        owner = first if partition_of(b"slow", PARTITIONS) in scene.owned_by(first) else second
        owner.kill()
        fraud.hangs = False
        scene.wait_until_processed()
        expected = judge(scene, shop.sent, reader=owner)
    assert expected.outcomes["accepted"] == len(events)
    assert fraud.calls.count("/slow/1") == 2
