"""When a group of workers is well, when somebody should look, and how that is told."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.engine import LaneStatus
from app.engine.lane import LaneState
from app.engine.table import encode_row
from app.health import Check, Level, Observed, Threshold, checks_of, health_view, thresholds
from app.settings import Settings
from app.topics import LETTERS_TABLE
from tests.unit.test_web_letters import letter
from tests.unit.web_kit import Cluster, Engine, cluster
from tools.local_kafka import free_port

SETTINGS = Settings()
WELL = Observed(pending=0, lag=0, idle_workers=0, backlog=0.0, not_running=0, unowned=0, silent=0)

BOUNDED = {
    "lag": (SETTINGS.lag_warning, SETTINGS.lag_critical),
    "pending": (SETTINGS.pending_warning, SETTINGS.pending_critical),
    "idle_workers": (SETTINGS.idle_workers_warning, SETTINGS.idle_workers_critical),
    "backlog": (SETTINGS.backlog_warning, SETTINGS.backlog_critical),
}


def checked(settings: Settings = SETTINGS, /, **seen: Any) -> dict[str, Check]:
    """Return the checks by name of a group that is well but for what is given."""
    return {check.name: check for check in checks_of(WELL._replace(**seen), settings)}


def overall(settings: Settings = SETTINGS, /, **seen: Any) -> str:
    """Return the level of such a group."""
    level: str = health_view(checks_of(WELL._replace(**seen), settings))["level"]
    return level


# --- levels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOUNDED)
def test_a_check_is_as_bad_as_its_thresholds_say(name: str) -> None:
    """Below the first all is well; at it, and up to the second, it is a warning; from there on it is critical."""
    warning, critical = BOUNDED[name]
    least = 0.001 if name == "backlog" else 1
    told = {value: checked(**{name: value})[name].level for value in (0, warning - least, warning, critical - least)}
    told |= {value: checked(**{name: value})[name].level for value in (critical, critical + least, 10 * critical)}
    assert [told[0], told[warning - least]] == [Level.HEALTHY, Level.HEALTHY]
    assert [told[critical], told[critical + least], told[10 * critical]] == [Level.CRITICAL] * 3
    assert told[warning] == Level.WARNING
    assert told[critical - least] == Level.WARNING


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.one_of(st.none(), st.floats(0, 1e9)))
def test_a_threshold_knows_three_levels(warning: float, critical: float, value: float | None) -> None:
    """Also where somebody has set the second below the first: it is the stronger one."""
    level = Threshold(warning, critical).level(value)
    if value is None:
        assert level is Level.WARNING
    elif value >= critical:
        assert level is Level.CRITICAL
    else:
        assert level is (Level.WARNING if value >= warning else Level.HEALTHY)


def test_levels_are_exit_codes() -> None:
    """The command `status` ends with them, and monitoring tells them apart."""
    assert [(level.value, level.word) for level in Level] == [(0, "healthy"), (1, "warning"), (2, "critical")]


@pytest.mark.parametrize("name", ["pending", "lag"])
def test_what_is_not_known_is_a_warning(name: str) -> None:
    """Neither well, nor worth to wake somebody."""
    check = checked(**{name: None})[name]
    assert (check.level, check.value) == (Level.WARNING, None)
    assert overall(**{name: None}) == "warning"


def test_a_backlog_is_judged_only_where_there_is_a_bound() -> None:
    """Of brokers that hold back nobody it is not told."""
    assert "backlog" not in checked(backlog=None)
    assert overall(backlog=None) == "healthy"
    assert checked(backlog=0.0)["backlog"].level is Level.HEALTHY


def test_partitions_that_are_taken_over_are_a_warning() -> None:
    """That passes in seconds."""
    assert checked()["partitions"].level is Level.HEALTHY
    for count in (1, 4, 1_000):
        check = checked(not_running=count)["partitions"]
        assert (check.level, check.value) == (Level.WARNING, count)


@pytest.mark.parametrize("lost", [{"unowned": 1}, {"silent": 1}, {"unowned": 3, "silent": 2}])
def test_partitions_that_nobody_answers_for_are_critical(lost: dict[str, int]) -> None:
    """Their orders stand still; the text says how many have no owner, and how many workers are silent."""
    check = checked(not_running=4, **lost)["partitions"]
    assert check.level is Level.CRITICAL
    assert f"{lost.get('unowned', 0)} have no owner" in check.text
    assert f"{lost.get('silent', 0)} workers do not answer" in check.text
    assert overall(**lost) == "critical"


def test_a_group_is_as_bad_as_its_worst_check() -> None:
    """And every check is told, with its value and its thresholds."""
    assert overall() == "healthy"
    assert overall(lag=SETTINGS.lag_warning) == "warning"
    assert overall(lag=SETTINGS.lag_warning, pending=SETTINGS.pending_critical) == "critical"
    view = health_view(checks_of(WELL._replace(lag=700), SETTINGS))
    assert [check["name"] for check in view["checks"]] == ["lag", "pending", "idle_workers", "backlog", "partitions"]
    assert view["checks"][0] == {
        "name": "lag",
        "level": "warning",
        "value": 700,
        "warning": 500,
        "critical": 5_000,
        "text": "records wait to be read",
    }


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOUNDED)
def test_thresholds_are_settings(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each of its own, from the environment."""
    low, high = ("0.1", "0.2") if name == "backlog" else ("3", "7")
    monkeypatch.setenv(f"ORDERS_{name.upper()}_WARNING", low)
    monkeypatch.setenv(f"ORDERS_{name.upper()}_CRITICAL", high)
    settings = Settings()
    assert thresholds(settings)[name] == Threshold(float(low), float(high))
    assert {other: limits for other, limits in thresholds(settings).items() if other != name} == {
        other: Threshold(*limits) for other, limits in BOUNDED.items() if other != name
    }
    levels = [checked(settings, **{name: value})[name].level for value in (0, float(low), float(high))]
    assert levels == [Level.HEALTHY, Level.WARNING, Level.CRITICAL]


# --- as a running group tells it --------------------------------------------------------------------------------------


@pytest.fixture
async def workers() -> AsyncIterator[Cluster]:
    """Two workers with low thresholds, two partitions each, three records waiting in each of these."""
    low = {"lag_warning": 20, "lag_critical": 40, "pending_warning": 2, "pending_critical": 4}
    async with cluster(**low) as running:  # type: ignore[arg-type]
        yield running


async def health(workers: Cluster, worker: int = 0) -> tuple[str, dict[str, Any]]:
    """Return the level that a worker tells of the group, and its checks by name."""
    told = (await workers.get("/api/status", worker)).json["health"]
    return told["level"], {check["name"]: check for check in told["checks"]}


def engine_of(workers: Cluster, number: int) -> Engine:
    """Return the engine of a worker."""
    engine = workers.nodes[number].engine
    assert engine is not None
    return engine


def add_letters(workers: Cluster, count: int) -> None:
    """Put open letters in, all over the partitions."""
    for number in range(count):
        row, name = letter(0), f"{number % 4}-{number}"
        workers.partitions[number % 4].tables[LETTERS_TABLE].apply({name: row}, [(name, encode_row(row))])


@pytest.mark.parametrize("worker", [0, 1])
async def test_a_group_that_is_well_says_so(workers: Cluster, worker: int) -> None:
    """At every worker; a broker without a bound has no backlog."""
    level, checks = await health(workers, worker)
    assert level == "healthy"
    assert set(checks) == {"lag", "pending", "idle_workers", "partitions"}
    assert {name: check["value"] for name, check in checks.items()} == {
        "lag": 12,
        "pending": 0,
        "idle_workers": 0,
        "partitions": 0,
    }


@pytest.mark.parametrize(("end", "level"), [(10, "healthy"), (12, "warning"), (16, "warning"), (17, "critical")])
async def test_records_that_wait_are_those_of_all_partitions(workers: Cluster, end: int, level: str) -> None:
    """Not those of one: 4 × (end - 7)."""
    for number in (0, 1):
        engine_of(workers, number).end_offset = end
    told, checks = await health(workers)
    assert (told, checks["lag"]["value"], checks["lag"]["level"]) == (level, 4 * (end - 7), level)


@pytest.mark.parametrize(("count", "level"), [(1, "healthy"), (2, "warning"), (3, "warning"), (4, "critical")])
async def test_letters_that_are_open_are_those_of_all_workers(workers: Cluster, count: int, level: str) -> None:
    """Whoever is asked."""
    add_letters(workers, count)
    for worker in (0, 1):
        told, checks = await health(workers, worker)
        assert (told, checks["pending"]["value"], checks["pending"]["level"]) == (level, count, level)


@pytest.mark.parametrize(("idle", "level"), [(0, "healthy"), (1, "warning"), (2, "critical")])
async def test_workers_without_a_partition_are_idle(idle: int, level: str) -> None:
    """They answer, and have nothing to do: more workers than partitions."""
    async with cluster(workers=4 + idle) as workers:
        for node in workers.nodes:
            node.idle = workers.urls[4:]
        for worker in (0, 3 + idle):
            told, checks = await health(workers, worker)
            assert (told, checks["idle_workers"]["value"]) == (level, idle)


async def test_a_partition_that_is_loading_is_a_warning(workers: Cluster) -> None:
    """What its letters and its lag are is not known meanwhile."""
    engine_of(workers, 1).states[3] = LaneState.LOADING
    level, checks = await health(workers)
    assert level == "warning"
    assert (checks["partitions"]["value"], checks["partitions"]["level"]) == (1, "warning")
    assert (checks["lag"]["value"], checks["lag"]["level"]) == (None, "warning")
    assert (checks["pending"]["value"], checks["pending"]["level"]) == (None, "warning")


async def test_a_worker_that_does_not_answer_is_critical(workers: Cluster) -> None:
    """Its partitions are not read from."""
    dead = f"http://127.0.0.1:{free_port()}"
    workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: dead}
    level, checks = await health(workers)
    assert (level, checks["partitions"]["level"], checks["partitions"]["value"]) == ("critical", "critical", 1)
    assert "1 workers do not answer" in checks["partitions"]["text"]


async def test_a_worker_that_is_silent_and_idle_is_critical_too(workers: Cluster) -> None:
    """All partitions can be read, but somebody should look."""
    workers.nodes[0].idle = [f"http://127.0.0.1:{free_port()}"]
    level, checks = await health(workers)
    assert (level, checks["partitions"]["level"], checks["partitions"]["value"]) == ("critical", "critical", 0)
    assert checks["idle_workers"]["value"] == 1


async def test_a_partition_without_an_owner_is_critical(workers: Cluster) -> None:
    """Also before this worker has joined its group, when it knows of none."""
    workers.nodes[0].routes = {p: url for p, url in workers.nodes[0].routes.items() if p != 2}
    level, checks = await health(workers)
    assert (level, checks["partitions"]["value"]) == ("critical", 1)
    assert "1 have no owner" in checks["partitions"]["text"]
    workers.nodes[0].engine, workers.nodes[0].routes = None, {}
    level, checks = await health(workers)
    assert (level, checks["partitions"]["value"]) == ("critical", 4)
    assert (checks["lag"]["value"], checks["pending"]["value"]) == (None, None)


@pytest.mark.parametrize(("held", "level"), [(0, "healthy"), (49, "healthy"), (50, "warning"), (90, "critical")])
async def test_the_fullest_partition_counts(workers: Cluster, held: int, level: str) -> None:
    """One that is full holds back its senders, whatever room the others have."""
    engine = engine_of(workers, 1)
    told_before = engine.status

    def status() -> list[LaneStatus]:
        return [lane._replace(backlog=(held if lane.partition == 3 else 0, 100)) for lane in told_before()]

    engine.status = status  # type: ignore[method-assign]
    for worker in (0, 1):
        told, checks = await health(workers, worker)
        assert (told, checks["backlog"]["value"], checks["backlog"]["level"]) == (level, held / 100, level)
