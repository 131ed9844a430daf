"""What a worker counts for Prometheus: committed steps and nothing else, under labels that hold no ids."""

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from app.delivery.actions import ACTION_HEADER
from app.delivery.checks import Checks
from app.delivery.dead_letters import DeadLetters
from app.engine.errors import EngineError, Fenced, Unknown
from app.engine.lane import Lane, LaneState
from app.engine.step import Step
from app.engine.table import Table, encode_row
from app.metrics import OTHER_TYPE, Metrics
from app.pipeline import OrderPipeline
from app.settings import Settings
from app.sources.samples import sample_events
from app.tables import TABLES
from app.topics import LETTERS_TABLE, OUTCOMES_TABLE, Topics
from app.web.metrics import NO_ROUTE
from models.events import MODELS
from models.letters import CAUSES, DEAD_LETTER, STATES
from tests.letters_kit import Service, action
from tests.unit.memory_broker import MemoryBroker, MemoryRecord, QuickClock, failing
from tests.unit.test_web_letters import letter
from tests.unit.web_kit import PARTITIONS, Cluster, Engine, cluster

TOPICS = Topics("orders", "order-updates", "dead-letters", "state")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(text: str) -> Samples:
    """Parse what is given to Prometheus; each series must come once."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


class Told:
    """What metrics tell, by name and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = samples_of(text)

    def __call__(self, name: str, **labels: str) -> float:
        """Return a value; fails if there is none."""
        return self.samples["orderflow_" + name, frozenset(labels.items())]

    def by(self, name: str, *labels: str) -> dict[str, float]:
        """Return the sums of a metric by some of its labels."""
        sums: Counter[str] = Counter()
        for (sample, of), value in self.samples.items():
            if sample == "orderflow_" + name:
                named = dict(of)
                sums["/".join(named[label] for label in labels)] += value  # type: ignore[assignment]
        return {key: value for key, value in sums.items() if value}


def told_by(metrics: Metrics) -> Told:
    """Return what a worker counts."""
    return Told(generate_latest(metrics.registry).decode())


# --- a lane over a broker in memory -----------------------------------------------------------------------------------


async def counting(steps: AsyncIterator[Step]) -> None:
    """Count records; those of value "bad" are dead letters, of type "order.paid" whatever they say."""
    async for step in steps:
        counts = Counter("dead_letter:undecodable" if record.value == b"bad" else "accepted" for record in step.records)
        step.counts = {(outcome, "order.paid"): count for outcome, count in counts.items()}
        table = step.table("counts")
        for record in step.records:
            table.put(str(record.offset), 1)


class Bench:
    """A lane that tells metrics."""

    def __init__(self, agent: Callable[[AsyncIterator[Step]], Any] = counting, clock: QuickClock | None = None) -> None:
        self.broker = MemoryBroker()
        self.metrics = Metrics()
        self.failures: list[EngineError] = []
        self.lane = Lane(0, self.broker, (Table("counts"),), agent, clock or QuickClock(), observer=self.metrics)

    @property
    def told(self) -> Told:
        """What the metrics tell now."""
        return told_by(self.metrics)

    async def run(self) -> None:
        """Run until everything is committed."""
        self.lane.start(self.failures.append)
        async with asyncio.timeout(5):
            while self.lane.next_offset != self.broker.end():  # noqa: ASYNC110 - committed and published
                await asyncio.sleep(0)
        await self.lane.stopped(1)


async def test_what_is_committed_is_counted() -> None:
    """Records, steps that had some, events by type and outcome, dead letters by cause; each step once."""
    bench = Bench()
    bench.broker.batch_size = 3
    bench.broker.add(b"a", b"b", b"bad", b"c", b"bad")
    await bench.run()
    told = bench.told
    assert told("events_total", type="order.paid", outcome="accepted") == 3
    assert told("events_total", type="order.paid", outcome="dead_letter") == 2
    assert told("dead_letters_total", cause="undecodable") == 2
    assert told("records_read_total") == told("step_records_sum") == 5
    assert told("step_records_count") == told("step_seconds_count") == told("commit_seconds_count") == 2
    assert told("step_records_bucket", le="1.0") == 0
    assert told("step_records_bucket", le="10.0") == 2
    assert told("claims_total") == 1
    assert told.by("commit_failures_total", "reason") == {}


async def test_a_worker_without_work_has_counted_nothing() -> None:
    """And says so: a counter that is not there cannot be compared with one that grows."""
    told = told_by(Metrics())
    assert told("records_read_total") == told("claims_total") == told("rebalances_total") == 0
    assert told("commit_failures_total", reason="fenced") == told("commit_failures_total", reason="unknown") == 0
    assert told("web_streams") == 0
    assert re.fullmatch(r"[0-9]+[.][0-9]+[.][0-9]+", _version(told))
    assert not [name for name, _ in told.samples if name.endswith("_created")]


def _version(told: Told) -> str:
    (labels,) = [dict(labels) for name, labels in told.samples if name == "orderflow_build_info"]
    return labels["version"]


class Hands(QuickClock):
    """A clock that goes on when told."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def monotonic(self) -> float:
        """Return it."""
        return self.time


async def test_the_time_of_a_step_is_split_into_handling_and_committing() -> None:
    """So that a slow broker is told from slow code."""
    clock = Hands()

    async def slow(steps: AsyncIterator[Step]) -> None:
        async for step in steps:
            if step.records:
                clock.time += 3
                step.table("counts").put("a", 1)

    def on_call(call: str) -> None:
        clock.time += {"commit": 7, "load": 0.25}.get(call, 0)

    bench = Bench(slow, clock)
    bench.broker.on_call = on_call
    bench.broker.add(b"a")
    await bench.run()
    assert bench.told("step_seconds_sum") == 3
    assert bench.told("commit_seconds_sum") == 7
    assert bench.told("recovery_seconds_sum") == 0.25


async def test_a_step_whose_commit_fails_counts_nothing() -> None:
    """It is handled again after the next claim, and counted then, once; why it was lost is counted too."""
    bench = Bench()
    bench.broker.on_call = failing("commit", Fenced("gone"), times=2)
    bench.broker.add(b"a", b"bad")
    await bench.run()
    assert bench.broker.calls.count("commit") == 3
    told = bench.told
    assert told("events_total", type="order.paid", outcome="accepted") == 1
    assert told("events_total", type="order.paid", outcome="dead_letter") == 1
    assert told("records_read_total") == 2
    assert told("commit_failures_total", reason="fenced") == 2
    assert told("commit_failures_total", reason="unknown") == 0
    assert told("claims_total") == 3
    assert told("recovery_seconds_count") == 3


@pytest.mark.parametrize("done", [True, False])
async def test_a_step_of_which_nobody_knows_is_counted_only_if_it_is_done_again(*, done: bool) -> None:
    """Counters are of what this worker knows to be committed; totals that must be right are rows."""
    bench = Bench()
    if done:

        def hide() -> None:
            bench.broker.after_commit = lambda: None
            raise Unknown("no answer")

        bench.broker.after_commit = hide
    else:
        bench.broker.on_call = failing("commit", Unknown("no answer"))
    bench.broker.add(b"a")
    await bench.run()
    assert bench.told.by("events_total", "outcome") == ({} if done else {"accepted": 1})
    assert bench.told("commit_failures_total", reason="unknown") == 1
    assert bench.told("commit_failures_total", reason="fenced") == 0


@pytest.mark.parametrize("at", ["claim", "load", "read"])
@pytest.mark.parametrize(("error", "reason"), [(Fenced("gone"), "fenced"), (Unknown("no answer"), "unknown")])
async def test_a_partition_may_be_lost_at_any_call(at: str, error: EngineError, reason: str) -> None:
    """It is counted, whenever that was."""
    bench = Bench()
    bench.broker.on_call = failing(at, error)
    bench.broker.add(b"a")
    await bench.run()
    assert bench.told.by("commit_failures_total", "reason") == {reason: 1}
    assert bench.told("claims_total") == (1 if at == "claim" else 2)
    assert bench.told("records_read_total") == 1


async def test_an_agent_that_fails_counts_nothing() -> None:
    """Neither its step nor a lost partition."""

    async def failing_agent(steps: AsyncIterator[Step]) -> None:
        async for step in steps:
            step.counts = {("accepted", "order.paid"): 7}
            raise ValueError("a fault of our own")

    bench = Bench(failing_agent)
    bench.broker.add(b"a")
    bench.lane.start(bench.failures.append)
    async with asyncio.timeout(5):
        while bench.lane.alive:  # noqa: ASYNC110 - until it has ended
            await asyncio.sleep(0)
    assert len(bench.failures) == 1
    assert bench.told.by("events_total", "outcome") == bench.told.by("commit_failures_total", "reason") == {}
    assert bench.told("records_read_total") == 0


async def test_rows_that_are_read_back_are_counted() -> None:
    """With how long that took; those of tables that no longer exist are passed over."""
    bench = Bench()
    bench.broker.rows[0] = {("counts", str(number)): b"1" for number in range(30)} | {("gone", "a"): b"7"}
    bench.broker.add(b"a")
    await bench.run()
    assert bench.told("recovered_rows_total") == 30
    assert bench.told("recovery_seconds_count") == 1


def test_whoever_is_told_may_keep_quiet() -> None:
    """Every event of the engine has a metric of its own."""
    metrics = Metrics()
    metrics.rebalanced()
    metrics.loaded(7, 0.2)
    metrics.lost("fenced")
    told = told_by(metrics)
    assert told("rebalances_total") == 1
    assert told("recovered_rows_total") == 7
    assert told("recovery_seconds_bucket", le="0.5") == 1
    assert told("recovery_seconds_bucket", le="0.1") == 0


# --- the real pipeline ------------------------------------------------------------------------------------------------


class Flow:
    """The pipeline of one partition over a broker in memory: a worker that is started anew when it is fenced."""

    def __init__(self, partitions: int = 1) -> None:
        self.broker = MemoryBroker()
        self.broker.batch_size = 40
        self.metrics = Metrics()
        pipeline = OrderPipeline(
            TOPICS,
            partitions,
            DeadLetters(TOPICS.dead_letters, TOPICS.orders, "group", "1"),
            QuickClock(),
            checks=Checks(Service().check, at_once=3, seconds=60),
        )

        async def agent(steps: AsyncIterator[Step]) -> None:
            async for step in steps:
                await pipeline.handle(step)

        tables = tuple(named.table for named in TABLES)
        self.lane = Lane(0, self.broker, tables, agent, QuickClock(), observer=self.metrics)

    def add(self, values: Iterable[bytes | None]) -> None:
        """Let events arrive."""
        for value in values:
            self.broker.source[0].append(MemoryRecord(self.broker.end(), b"k", value))

    def act(self, deed: str, *letters: str) -> None:
        """Let somebody ask for a deed."""
        headers = ((ACTION_HEADER, deed.encode()),)
        record = MemoryRecord(self.broker.end(), b"k", action(deed, *letters), headers=headers)
        self.broker.source[0].append(record)

    async def run(self, condition: Callable[[], object] = lambda: True) -> None:
        """Run until everything is committed, and something holds; ends the lane."""
        failures: list[EngineError] = []
        self.lane.start(failures.append)
        async with asyncio.timeout(20):
            while not (self.lane.next_offset == self.broker.end() and condition()):
                assert not failures
                await asyncio.sleep(0.001)
        await self.lane.stopped(1)

    def table(self, name: str) -> dict[str, Any]:
        """Return the committed rows of a table."""
        return {key: json.loads(row) for (table, key), row in self.broker.rows[0].items() if table == name}

    def check_sums(self) -> Told:
        """Compare what is counted with the outcomes table; returns it."""
        told, outcomes = told_by(self.metrics), self.table(OUTCOMES_TABLE)
        by_outcome: Counter[str] = Counter()
        for name, count in outcomes.items():
            by_outcome[name.partition(":")[0]] += count
        assert told.by("events_total", "outcome") == by_outcome
        by_cause = {n.removeprefix(DEAD_LETTER): c for n, c in outcomes.items() if n.startswith(DEAD_LETTER)}
        assert told.by("dead_letters_total", "cause") == by_cause
        return told


@pytest.mark.parametrize("partitions", [1, 3])
async def test_events_by_outcome_are_those_of_the_outcomes_table(partitions: int) -> None:
    """Accepted, duplicate, forwarded, dead ones of each cause, parked, redriven, purged, waiting and retrying ones."""
    flow = Flow(partitions)
    flow.add(sample_events(1_500, seed=7, customers=40, invalid=0.1, duplicates=0.1))
    flow.add([None, b"", b"{}", b"[1]", b"\xff"])
    await flow.run()
    told = flow.check_sums()
    assert told("records_read_total") == 1_505
    assert sum(told.by("events_total", "outcome").values()) >= 1_505
    wanted = {"accepted", "duplicate", "dead_letter"} | ({"forwarded"} if partitions > 1 else set())
    assert wanted <= set(told.by("events_total", "outcome"))
    assert len(told.by("dead_letters_total", "cause")) > 3


async def test_letters_that_are_seen_to_are_counted_like_the_table_does() -> None:
    """Redriven and purged ones, those that follow, and actions that were refused."""
    flow = Flow()
    order = {"order_id": "o", "customer_id": "c", "timestamp": "2026-11-21T12:00:00Z"}
    flow.add(json.dumps({**order, "event_id": f"e{n}", "event_type": "order.paid"}).encode() for n in range(3))
    flow.add([b"no json"] * 4)
    items = [{"sku": "a", "qty": 1, "price": "1.00"}]
    new = {"event_type": "order.created", "total_amount": "1.00", "currency": "GBP", "items": items}
    flow.add([json.dumps({**order, **new, "event_id": "e-fails-1", "order_id": "slow"}).encode()])
    flow.act("redrive", "0-3", "0-0", "0-999")
    flow.act("purge", "0-4", "0-4")
    flow.add([json.dumps({**order, **new, "event_id": "e9"}).encode()])
    await flow.run()
    told = flow.check_sums()
    outcomes = told.by("events_total", "outcome")
    assert {"accepted", "dead_letter", "redriven", "purged", "action_refused", "waiting", "retrying"} <= set(outcomes)


async def test_what_is_counted_is_what_is_committed_however_often_a_lane_is_fenced() -> None:
    """Steps that were handled in vain leave nothing behind."""
    flow = Flow()
    flow.add(sample_events(600, seed=8, customers=20, invalid=0.1, duplicates=0.1))
    chance = random.Random(3)

    def on_call(call: str) -> None:
        if call == "commit" and chance.random() < 0.4:
            raise Fenced("gone")

    flow.broker.on_call = on_call
    await flow.run()
    told = flow.check_sums()
    assert told("commit_failures_total", reason="fenced") > 3
    assert told("records_read_total") == 600


# --- no label holds an id ---------------------------------------------------------------------------------------------

MARK = "zq7Mark"

hostile = st.one_of(
    st.just(MARK),
    st.text(max_size=20).map(lambda text: MARK + text),
    st.sampled_from(list(MODELS)).map(lambda name: name + MARK),
    st.sampled_from(['"', "\\", "\n", "{", "}", ",", "=", "é", "\u2028", "dead_letter:", "accepted", ":"]).map(
        lambda odd: odd + MARK + odd
    ),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional={
    "event_type": st.one_of(hostile, st.sampled_from(list(MODELS)), st.integers(), st.none()),
    "event_id": st.one_of(hostile, st.integers()),
    "order_id": hostile,
    "customer_id": hostile,
    "currency": st.one_of(hostile, st.just("GBP")),
    "timestamp": st.one_of(hostile, st.just("2026-11-21T12:00:00Z")),
    "total_amount": st.one_of(hostile, st.just("1.00")),
    "items": st.lists(st.fixed_dictionaries({"sku": hostile, "qty": st.just(1), "price": st.just(1)}), max_size=2),
}), max_size=20), st.lists(st.binary(max_size=20).map(MARK.encode().__add__), max_size=5))  # fmt: skip
def test_whatever_events_say_is_in_no_label(events: list[dict[str, Any]], garbage: list[bytes]) -> None:
    """Types that are none of ours are "other", and the number of series has a bound."""

    async def run() -> Told:
        flow = Flow()
        flow.add([json.dumps(event).encode() for event in events] + garbage)
        flow.act("redrive", MARK, "0-0")
        await flow.run()
        return flow.check_sums()

    told = asyncio.run(run())
    assert MARK not in told.text
    assert {type_ for (name, labels) in told.samples for key, type_ in labels if key == "type"} <= {*MODELS, OTHER_TYPE}
    assert set(told.by("dead_letters_total", "cause")) <= set(CAUSES)


ROUTES = {
    f"/api/orders/{MARK}": "/api/orders/{id}",
    f"/api/orders/{MARK}?customer_id={MARK}": "/api/orders/{id}",
    f"/api/customers/{MARK}": "/api/customers/{id}",
    f"/api/products/{quote(MARK + '/é', safe='')}": "/api/products/{id}",
    "/api/dead-letters/0-77": "/api/dead-letters/{id}",
    f"/api/dead-letters?order_id={MARK}": "/api/dead-letters",
    f"/orders/{MARK}": "/orders/{id}",
    f"/customers/{MARK}": "/customers/{id}",
    f"/products/{MARK}": "/products/{id}",
    "/dead-letters/0-77": "/dead-letters/{id}",
    f"/search?q={MARK}": "/search",
    f"/live/customers/{MARK}": "/live/customers/{id}",
    f"/internal/rows/{MARK}?partitions=0": "/internal/rows/{kind}",
    f"/static/{MARK.lower()}.css": NO_ROUTE,
    "/static/style.css": "/static/{name}",
    f"/{MARK}": NO_ROUTE,
    f"/api/{MARK}": NO_ROUTE,
    f"/api/orders/a/{MARK}": NO_ROUTE,
    f"/orders/{MARK}/": NO_ROUTE,
    f"/live/{MARK}": NO_ROUTE,
    f"/dead-letters/{MARK}": NO_ROUTE,
    f"/{'x' * 8_000}{MARK}": NO_ROUTE,
    f"//{MARK}/": NO_ROUTE,
    f"/%0A%22%7D%20{MARK}": NO_ROUTE,
}


async def metrics_of(workers: Cluster, worker: int = 0) -> Told:
    """Return what a worker gives to Prometheus."""
    async with workers.client.get(workers.urls[worker] + "/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        return Told(await response.text())


async def _asked(workers: Cluster, path: str, method: str = "GET", **headers: str) -> int:
    url = URL(workers.urls[0] + path, encoded=True)
    async with workers.client.request(method, url, headers=headers, allow_redirects=False) as response:
        return response.status


async def test_addresses_are_counted_by_their_route() -> None:
    """What is asked for is in no label, and whatever has no route is "none"."""
    async with cluster(workers=1) as workers:
        for number, (path, route) in enumerate(ROUTES.items(), 1):
            before = (await metrics_of(workers)).by("web_requests_total", "route", "status")
            status = await _asked(workers, path)
            after = (await metrics_of(workers)).by("web_requests_total", "route", "status")
            after.pop("/metrics/200")
            before.pop("/metrics/200", None)
            assert Counter(after) - Counter(before) == Counter({f"{route}/{status}": 1}), (number, path)
        text = (await metrics_of(workers)).text
        assert MARK.lower() not in text.lower()
        assert "xxxx" not in text


async def test_methods_and_statuses_have_bounds() -> None:
    """Odd methods are "other"; refusals of each kind are counted, with how long they took."""
    async with cluster(workers=1, web_token="s3cret", web_rate=100.0) as workers:
        for method in ("GET", "HEAD", "POST", "PUT", "PROPFIND", "OPTIONS", "TRACE", "LOCK", "MKCOL"):
            await _asked(workers, "/api/status", method, Authorization="Bearer s3cret")
        await _asked(workers, "/api/status")
        await _asked(workers, "/api/status", Host="evil.example")
        await _asked(workers, "/orders", Accept="text/html")
        url = workers.urls[0] + "/metrics"
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer s3cret"}) as one, one.get(url) as response:
            told = Told(await response.text())
        found = told.by("web_requests_total", "route", "method", "status")
        assert set(told.by("web_requests_total", "method")) == {"GET", "HEAD", "POST", "other"}
        assert found["/api/status/GET/200"] == found["/api/status/GET/401"] == found["/api/status/GET/421"] == 1
        assert found["none/POST/405"] == 1
        assert found["none/other/405"] == 6
        assert found["/orders/GET/303"] == 1
        assert told("web_request_seconds_count", route="/api/status") == 4


async def test_the_series_of_requests_have_a_bound() -> None:
    """A thousand addresses that somebody tries make no more of them than ten."""
    async with cluster(workers=1) as workers:
        sizes = []
        for many in (10, 200):
            for number in range(many):
                await _asked(workers, f"/{number}/{many}")
                await _asked(workers, f"/api/orders/{number}-{many}")
            sizes.append(len((await metrics_of(workers)).samples))
        assert sizes[0] == sizes[1] - len(_of_metrics_route(await metrics_of(workers)))


def _of_metrics_route(told: Told) -> list[str]:
    """The series that asking for metrics itself has added."""
    return [name for name, labels in told.samples if dict(labels).get("route") == "/metrics"]


# --- how partitions and letters stand ---------------------------------------------------------------------------------


@asynccontextmanager
async def with_letters(**more: Any) -> AsyncIterator[Cluster]:
    """Two workers over letters of each state and several causes."""
    async with cluster(**more) as workers:
        for number in range(40):
            row, name = letter(number), f"{number % PARTITIONS}-{number}"
            workers.partitions[number % PARTITIONS].tables[LETTERS_TABLE].apply({name: row}, [(name, encode_row(row))])
        yield workers


def engine_of(workers: Cluster, number: int) -> Engine:
    """Return the engine of a worker."""
    engine = workers.nodes[number].engine
    assert engine is not None
    return engine


async def test_partitions_are_told_by_their_owners() -> None:
    """State, lag and rows, each at one worker only; the group's sum is that of all workers."""
    async with with_letters() as workers:
        for number in (0, 1):
            told = await metrics_of(workers, number)
            own = {str(partition) for partition in range(number, PARTITIONS, 2)}
            for name in ("lag_records", "rows", "recovery_ratio"):
                assert set(told.by(name, "partition")) == own, name
            assert told.by("partition_state", "partition", "state") == {f"{partition}/running": 1 for partition in own}
            assert set(told.by("lag_records", "partition").values()) == {3}
            assert set(told.by("recovery_ratio", "partition").values()) == {1}
            rows = {str(p): workers.partitions[int(p)].row_count() for p in own}
            assert told.by("rows", "partition") == rows
            assert told("partitions") == 4
            assert told("partitions_owned") == 2
            assert not [
                name for name, _ in told.samples if name in {"orderflow_backlog_ratio", "orderflow_lag_seconds"}
            ]


async def test_a_partition_that_is_loading_tells_how_far_it_is() -> None:
    """What is not known is left out, rather than told as nothing."""
    async with with_letters() as workers:
        engine, status = engine_of(workers, 0), engine_of(workers, 0).status
        engine.states[2] = LaneState.LOADING
        engine.end_offset = None

        def half() -> Any:
            return [
                lane._replace(loaded=30, to_load=40, backlog=(5, 20), last_timestamp=1_000, next_offset=None)
                for lane in status()
            ]

        engine.status = half  # type: ignore[method-assign]
        told = await metrics_of(workers)
        assert told.by("partition_state", "partition", "state") == {"0/running": 1, "2/loading": 1}
        assert told.by("recovery_ratio", "partition") == {"0": 1, "2": 0.75}
        assert told.by("backlog_ratio", "partition") == {"0": 0.25, "2": 0.25}
        assert not [name for name, _ in told.samples if name.startswith("orderflow_lag_")]


@pytest.mark.parametrize(("end", "seconds"), [(7, 0.0), (8, 100.0)])
async def test_how_long_records_wait_is_since_the_last_one_that_was_handled(end: int, seconds: float) -> None:
    """Nothing where none waits."""
    async with cluster(workers=1) as workers:
        engine, status = engine_of(workers, 0), engine_of(workers, 0).status
        engine.end_offset = end
        last = int((time.time() - 100) * 1_000)
        engine.status = lambda: [lane._replace(last_timestamp=last) for lane in status()]  # type: ignore[method-assign]
        told = (await metrics_of(workers)).samples["orderflow_lag_seconds", frozenset({("partition", "0")})]
        assert told == pytest.approx(seconds, abs=20)


async def test_letters_are_told_by_state_and_cause() -> None:
    """All workers together have all of them once."""
    async with with_letters() as workers:
        a, b = await metrics_of(workers, 0), await metrics_of(workers, 1)
        states = Counter(a.by("letters", "state")) + Counter(b.by("letters", "state"))
        assert states == {"dead": 10, "parked": 10, "waiting": 10, "resolved": 10}
        causes = Counter(a.by("open_letters", "cause")) + Counter(b.by("open_letters", "cause"))
        assert sum(causes.values()) == 30
        assert set(causes) == {"invalid_event", "unknown_order"}
        for told in (a, b):
            assert {dict(labels)["state"] for name, labels in told.samples if name == "orderflow_letters"} == set(
                STATES
            )
            assert told("oldest_open_letter_seconds") > 0


async def test_letters_of_a_partition_that_has_gone_are_its_new_owners() -> None:
    """At once: else both would tell of them, and the group have more than there are."""
    async with with_letters() as workers:
        await metrics_of(workers, 0)
        await metrics_of(workers, 1)
        del engine_of(workers, 0).states[2]
        engine_of(workers, 1).states[2] = LaneState.RUNNING
        told = [await metrics_of(workers, number) for number in (0, 1)]
        assert sum(sum(each.by("letters", "state").values()) for each in told) == 40
        status = (await workers.get("/internal/status", 1)).json
        assert [each["letters"] is None for each in status["partitions"]] == [False, False, False]


async def test_without_letters_nothing_is_old() -> None:
    """States are there with 0, so that alerts have something to look at; before the group is joined too."""
    async with cluster(workers=1) as workers:
        for engine in (workers.nodes[0].engine, None):
            workers.nodes[0].engine = engine
            told = await metrics_of(workers)
            assert [told("letters", state=state) for state in STATES] == [0] * len(STATES)
            assert told("oldest_open_letter_seconds") == 0
            assert told("partitions_owned") == (4 if engine else 0)
            assert told("partitions") == 4


async def test_thresholds_are_those_of_the_settings() -> None:
    """So that alerts and the command `status` judge alike."""
    more: dict[str, Any] = {"lag_warning": 7, "backlog_critical": 0.75}
    expected = Settings(**more)
    async with cluster(workers=1, **more) as workers:
        told = await metrics_of(workers)
    found = told.by("threshold", "check", "level")
    checks: Mapping[str, tuple[float, float]] = {
        "lag": (7, expected.lag_critical),
        "pending": (expected.pending_warning, expected.pending_critical),
        "idle_workers": (expected.idle_workers_warning, expected.idle_workers_critical),
        "backlog": (expected.backlog_warning, 0.75),
    }
    assert found == {
        f"{check}/{level}": value
        for check, limits in checks.items()
        for level, value in zip(("warning", "critical"), limits, strict=True)
    }


async def test_every_name_is_told_what_it_is() -> None:
    """Each metric of ours has a help text and a type, and begins with our name; those of the process are there too."""
    async with with_letters() as workers:
        text = (await metrics_of(workers)).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    ours = {name for name in families if name.startswith("orderflow_")}
    assert all(families[name].documentation and families[name].type != "unknown" for name in ours)
    assert {name.partition("_")[0] for name in families} == {"orderflow", "process", "python"}


def _labels_of(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for _, labels in samples_of(text):
            yield from (value for _, value in labels)


async def test_letters_with_hostile_ids_are_in_no_label() -> None:
    """Neither in metrics of letters nor of requests for them."""
    async with cluster(workers=1) as workers:
        odd = {
            "event_type": MARK,
            "event_id": MARK,
            "order_id": MARK,
            "customer_id": MARK,
            "error": MARK,
            "stack": MARK,
        }
        row = letter(0, key=MARK.encode(), value=MARK.encode(), headers=((MARK, None),), **odd)
        workers.partitions[0].tables[LETTERS_TABLE].apply({"0-0": row}, [("0-0", encode_row(row))])
        assert await _asked(workers, "/dead-letters/0-0") == 200
        text = (await metrics_of(workers)).text
        assert MARK not in text
        assert all(len(value) < 60 for value in _labels_of([text]))
