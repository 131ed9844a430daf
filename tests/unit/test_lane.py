"""A lane and the engine over it: what is committed when, what readers see, and how each kind of failure ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.engine import Engine, LaneStatus
from app.engine.errors import (
    AgentFailed,
    EngineError,
    Fenced,
    Inconsistent,
    NotReady,
    Refused,
    Unavailable,
    Unknown,
)
from app.engine.lane import Lane, LaneState
from app.engine.step import FLUSH_OUTPUTS, Output, Step
from app.engine.table import Table
from tests.unit.memory_broker import MemoryBroker, QuickClock, failing

TABLES = (Table("counts"),)


def count(step: Step) -> None:
    """Count records by value and send each one on."""
    counts = step.table("counts")
    for record in step.records:
        assert record.value is not None
        key = record.value.decode()
        counts.put(key, (counts.get(key) or 0) + 1)
        step.send(Output("out", step.partition, record.key, record.value))


async def counting(steps: AsyncIterator[Step]) -> None:
    """Count what comes."""
    async for step in steps:
        count(step)


class Bench:
    """One lane over a broker in memory."""

    def __init__(self, agent: Callable[[AsyncIterator[Step]], Any] = counting) -> None:
        self.broker = MemoryBroker()
        self.failures: list[EngineError] = []
        self.lane = Lane(0, self.broker, TABLES, agent, QuickClock())

    def start(self) -> None:
        """Start the lane."""
        self.lane.start(self.failures.append)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - of any kind
                await asyncio.sleep(0)

    async def until_committed(self, offset: int | None = None) -> None:
        """Wait until everything, or everything below `offset`, is committed and published."""
        await self.until(lambda: self.lane.next_offset == (self.broker.end() if offset is None else offset))

    async def until_ended(self) -> None:
        """Wait until the lane's task is over."""
        await self.until(lambda: not self.lane.alive)

    def counts(self) -> dict[str, int]:
        """Return the committed counts."""
        return {key: orjson.loads(value) for (_, key), value in self.broker.rows[0].items()}

    def visible(self) -> dict[str, int]:
        """Return the counts that readers see."""
        table = self.lane.rows.tables["counts"]
        return {key: table.get(key) for key in table.encoded}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A lane that counts."""
    made = Bench()
    yield made
    await made.lane.stopped(1)


# --- the order of things ----------------------------------------------------------------------------------------------


async def test_a_partition_is_claimed_before_anything_of_it_is_read(bench: Bench) -> None:
    """Claim, load, read: what was read before a claim may be older than the former owner's last commit."""
    bench.broker.add(b"a")
    bench.start()
    await bench.until_committed()
    await bench.lane.stopped(1)
    assert bench.broker.calls[:4] == ["claim", "load", "read", "commit"]
    assert bench.broker.calls[-1] == "release"


async def test_a_step_is_committed_when_the_next_one_is_asked_for() -> None:
    """Not earlier: an agent that is still at work on a step may fail yet."""
    seen: list[tuple[int, int]] = []

    async def agent(steps: AsyncIterator[Step]) -> None:
        async for step in steps:
            seen.append((step.first_offset, made.broker.calls.count("commit")))
            count(step)
            await asyncio.sleep(0.01)
            assert made.broker.calls.count("commit") == len(seen) - 1

    made = Bench(agent)
    made.broker.batch_size = 2
    made.broker.add(b"a", b"b", b"c", b"d", b"e")
    made.start()
    await made.until_committed()
    assert [commits for _, commits in seen] == [0, 1, 2]
    assert made.failures == []
    await made.lane.stopped(1)


async def test_steps_follow_each_other_without_a_hole() -> None:
    """Each begins where the last one ended, gaps in the offsets included."""
    bounds: list[tuple[int, int]] = []

    async def agent(steps: AsyncIterator[Step]) -> None:
        async for step in steps:
            bounds.append((step.first_offset, step.next_offset))
            assert all(step.first_offset <= record.offset < step.next_offset for record in step.records)
            count(step)

    bench = Bench(agent)
    bench.broker.batch_size = 3
    bench.broker.add(*[b"x"] * 10)
    bench.start()
    await bench.until_committed()
    await bench.lane.stopped(1)
    assert bounds[0][0] == 0
    assert [begin for begin, _ in bounds[1:]] == [end for _, end in bounds[:-1]]
    assert bounds[-1][1] == bench.broker.end()
    assert bench.counts() == {"x": 10}


async def test_readers_see_a_row_only_once_it_is_committed(bench: Bench) -> None:
    """Not while the agent works and not while the commit is under way."""
    bench.broker.hold_commit = asyncio.Event()
    bench.broker.add(b"a")
    bench.start()
    await bench.until(lambda: "commit" in bench.broker.calls)
    await asyncio.sleep(0.01)
    assert bench.visible() == {}
    bench.broker.hold_commit.set()
    await bench.until_committed()
    assert bench.visible() == {"a": 1}


async def test_rows_are_read_back_before_steps_come(bench: Bench) -> None:
    """A lane goes on counting where the state stands."""
    bench.broker.rows[0] = {("counts", "a"): b"41", ("gone", "a"): b"7"}
    bench.broker.add(b"a", b"b")
    bench.broker.offsets[0] = 0
    bench.start()
    await bench.until_committed()
    assert bench.visible() == {"a": 42, "b": 1}
    assert bench.lane.loaded == (2, 2)


async def test_rows_are_not_to_be_had_until_they_are_all_there(bench: Bench) -> None:
    """Half a state answers no question."""
    bench.broker.rows[0] = {("counts", "a"): b"1", ("counts", "b"): b"2"}
    with pytest.raises(NotReady, match="partition 0 is claiming"):
        bench.visible()
    bench.start()
    await bench.until(lambda: bench.lane.state is LaneState.LOADING)
    with pytest.raises(NotReady, match="partition 0 is loading"):
        bench.visible()
    await bench.until(lambda: bench.lane.state is LaneState.RUNNING)
    assert bench.visible() == {"a": 1, "b": 2}
    await bench.lane.stopped(1)
    with pytest.raises(NotReady, match="partition 0 is stopped"):
        bench.visible()


async def test_a_batch_without_records_moves_the_position_and_commits_nothing(bench: Bench) -> None:
    """Markers and aborted transactions are no step."""
    bench.start()
    await bench.until(lambda: bench.broker.calls.count("read") >= 1)
    bench.broker.arrived.set()
    await bench.until(lambda: bench.broker.calls.count("read") >= 3)
    assert "commit" not in bench.broker.calls


async def test_outputs_beyond_what_is_kept_in_memory_still_belong_to_their_step() -> None:
    """They are handed on early, and are written with the commit or not at all."""
    many = [b"%d" % number for number in range(3 * FLUSH_OUTPUTS + 5)]
    bench = Bench()
    bench.broker.batch_size = len(many)
    bench.broker.hold_commit = asyncio.Event()
    bench.broker.add(*many)
    bench.start()
    await bench.until(lambda: "commit" in bench.broker.calls)
    assert bench.broker.outputs == []
    bench.broker.hold_commit.set()
    await bench.until_committed()
    assert [output.value for output in bench.broker.outputs] == many
    await bench.lane.stopped(1)


# --- fenced, unknown --------------------------------------------------------------------------------------------------


async def test_a_fenced_lane_drops_its_rows_and_begins_again_where_the_state_stands(bench: Bench) -> None:
    """What somebody else has committed meanwhile is taken in, what was uncommitted here is forgotten."""
    bench.broker.hold_commit = asyncio.Event()
    bench.broker.add(b"a", b"b")
    bench.start()
    await bench.until(lambda: "commit" in bench.broker.calls)
    bench.broker.fence()
    bench.broker.rows[0] = {("counts", "a"): b"1"}
    bench.broker.offsets[0] = 2
    bench.broker.hold_commit.set()
    await bench.until_committed()
    assert bench.counts() == bench.visible() == {"a": 1, "b": 1}
    assert bench.broker.calls.count("claim") == 2
    assert bench.broker.leases[0].released
    assert bench.failures == []


async def test_a_fenced_lane_asks_the_group_before_it_claims_again(bench: Bench) -> None:
    """A worker that was paused and has lost the partition must not take it back from its owner."""
    bench.broker.hold_commit = asyncio.Event()
    bench.broker.may_hold = lambda _: False
    bench.broker.add(b"a")
    bench.start()
    await bench.until(lambda: "commit" in bench.broker.calls)
    bench.broker.fence()
    bench.broker.hold_commit.set()
    await bench.until_ended()
    assert bench.broker.calls.count("claim") == 1
    assert bench.broker.calls[-1] == "confirm"
    assert bench.broker.leases[0].released
    assert bench.counts() == {}
    assert bench.failures == [], "losing a partition is no failure"


@pytest.mark.parametrize("done", [True, False])
async def test_an_unknown_outcome_is_looked_up_and_not_tried_again_in_place(bench: Bench, *, done: bool) -> None:
    """The next claim settles whether the step was committed, and the offset in the state tells."""

    def hide() -> None:
        bench.broker.after_commit = lambda: None
        raise Unknown("no answer")

    bench.broker.add(b"a")
    if done:
        bench.broker.after_commit = hide
    else:
        bench.broker.on_call = failing("commit", Unknown("no answer"))
    bench.start()
    await bench.until_committed()
    assert bench.counts() == bench.visible() == {"a": 1}
    calls = [call for call in bench.broker.calls if call != "read"]
    again = [] if done else ["commit"]
    assert calls == ["claim", "load", "commit", "release", "confirm", "claim", "load", *again]
    assert bench.failures == []


@pytest.mark.parametrize("at", ["claim", "load", "read"])
async def test_a_fence_at_any_call_is_begun_again(bench: Bench, at: str) -> None:
    """Not only a commit may find that the partition is gone."""
    bench.broker.on_call = failing(at, Fenced("gone"))
    bench.broker.add(b"a")
    bench.start()
    await bench.until_committed()
    assert bench.counts() == {"a": 1}
    assert bench.failures == []


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["claim", "load", "read", "commit", "confirm"])
@pytest.mark.parametrize("error", [Unavailable("away"), Refused("no"), Inconsistent("odd")])
async def test_what_a_lane_cannot_mend_is_reported_once_and_ends_it(bench: Bench, at: str, error: EngineError) -> None:
    """The worker is told; nothing is tried again, nothing becomes visible, and the partition is given up."""
    bench.broker.on_call = failing(at, error, times=99)
    bench.broker.add(b"a")
    if at == "confirm":
        bench.broker.hold_commit = asyncio.Event()
    bench.start()
    if bench.broker.hold_commit is not None:
        await bench.until(lambda: "commit" in bench.broker.calls)
        bench.broker.fence()
        bench.broker.hold_commit.set()
    await bench.until_ended()
    assert bench.failures == [error]
    assert bench.broker.calls.count(at) == 1
    assert all(lease.released for lease in bench.broker.leases)
    assert bench.counts() == {}
    assert bench.lane.state is LaneState.STOPPED


@pytest.mark.parametrize("at", ["claim", "load", "read", "commit"])
async def test_an_error_that_nobody_foresaw_is_reported_too(
    bench: Bench, at: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It names the partition and the error, and the log has the traceback."""
    bench.broker.on_call = failing(at, ZeroDivisionError("by zero"))
    bench.broker.add(b"a")
    bench.start()
    await bench.until_ended()
    (failure,) = bench.failures
    assert not isinstance(failure, AgentFailed), "the agent had no part in it"
    assert "partition 0" in str(failure)
    assert "ZeroDivisionError: by zero" in str(failure)
    assert bench.counts() == {}


async def test_an_agent_that_raises_leaves_nothing_of_its_step() -> None:
    """The error names the partition and what was raised; the steps before stay."""

    async def agent(steps: AsyncIterator[Step]) -> None:
        async for step in steps:
            count(step)
            if any(record.value == b"raise" for record in step.records):
                raise ValueError("the record says so")

    bench = Bench(agent)
    bench.broker.batch_size = 2
    bench.broker.add(b"a", b"b", b"c", b"raise", b"d")
    bench.start()
    await bench.until_ended()
    (failure,) = bench.failures
    assert isinstance(failure, AgentFailed)
    assert "partition 0: ValueError: the record says so" in str(failure)
    assert bench.counts() == {"a": 1, "b": 1}
    assert len(bench.broker.outputs) == 2
    assert bench.broker.leases[0].released


async def test_an_agent_that_ends_is_a_failure() -> None:
    """Else its partition would be owned and never worked on."""

    async def agent(steps: AsyncIterator[Step]) -> None:
        count(await anext(steps))

    bench = Bench(agent)
    bench.broker.add(b"a")
    bench.start()
    await bench.until_ended()
    (failure,) = bench.failures
    assert isinstance(failure, AgentFailed)
    assert "ended on partition 0" in str(failure)
    assert bench.counts() == {}, "it never asked for the next step"


async def test_a_row_that_cannot_be_encoded_is_a_failure_that_commits_nothing() -> None:
    """Something that is no JSON never reaches the broker."""

    async def agent(steps: AsyncIterator[Step]) -> None:
        async for step in steps:
            step.table("counts").put("a", object())

    bench = Bench(agent)
    bench.broker.add(b"a")
    bench.start()
    await bench.until_ended()
    (failure,) = bench.failures
    assert "partition 0: a step cannot be committed" in str(failure)
    assert "commit" not in bench.broker.calls


# --- stopping ---------------------------------------------------------------------------------------------------------


async def test_a_stop_commits_the_step_in_flight_and_takes_no_other() -> None:
    """However many records wait."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def agent(steps: AsyncIterator[Step]) -> None:
        async for step in steps:
            count(step)
            reached.set()
            await go_on.wait()

    bench = Bench(agent)
    bench.broker.batch_size = 1
    bench.broker.add(b"a", b"b", b"c")
    bench.start()
    await reached.wait()
    stopped = asyncio.create_task(bench.lane.stopped(5))
    await asyncio.sleep(0.01)
    assert not stopped.done()
    go_on.set()
    await stopped
    assert bench.counts() == {"a": 1}
    assert bench.broker.leases[0].released
    assert bench.failures == []


async def test_a_stop_does_not_wait_for_records(bench: Bench) -> None:
    """A read under way is let go."""
    bench.broker.idle_seconds = 60
    bench.start()
    await bench.until(lambda: "read" in bench.broker.calls)
    begin = asyncio.get_running_loop().time()
    await bench.lane.stopped(30)
    assert asyncio.get_running_loop().time() - begin < 5
    assert bench.broker.leases[0].released


async def test_a_step_that_takes_too_long_is_dropped_at_a_stop() -> None:
    """Nothing of it is committed, and the partition is given up."""

    async def agent(steps: AsyncIterator[Step]) -> None:
        async for step in steps:
            count(step)
            await asyncio.sleep(3600)

    bench = Bench(agent)
    bench.broker.add(b"a")
    bench.start()
    await bench.until(lambda: "read" in bench.broker.calls)
    await bench.lane.stopped(0.05)
    assert not bench.lane.alive
    assert bench.counts() == {}
    assert bench.broker.leases[0].released
    assert bench.failures == []


async def test_a_stop_in_the_middle_of_a_load_ends_it(bench: Bench) -> None:
    """A large state does not delay it."""
    bench.broker.rows[0] = {("counts", f"k{number}"): b"1" for number in range(10)}
    bench.start()
    await bench.until(lambda: bench.lane.state is LaneState.LOADING)
    await bench.lane.stopped(1)
    assert not bench.lane.alive
    assert "read" not in bench.broker.calls
    assert bench.broker.leases[0].released


async def test_a_stop_while_fenced_claims_no_more(bench: Bench) -> None:
    """The pause before the next claim ends at once."""
    bench.broker.on_call = failing("read", Fenced("gone"), times=99)
    bench.lane._clock = SlowClock()
    bench.start()
    await bench.until(lambda: bench.lane.state is LaneState.FENCED)
    await bench.lane.stopped(1)
    assert not bench.lane.alive
    assert bench.broker.calls.count("claim") == 1


class SlowClock(QuickClock):
    """Pauses for an hour."""

    def uniform(self, low: float, high: float) -> float:
        """Return an hour."""
        return 3600.0


# --- the engine -------------------------------------------------------------------------------------------------------


def engine_over(broker: MemoryBroker, failures: list[EngineError] | None = None) -> Engine:
    """Return an engine that counts."""
    return Engine(broker, TABLES, counting, QuickClock(), ([] if failures is None else failures).append)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - of any kind
            await asyncio.sleep(0)


async def test_lanes_follow_the_assignment_and_those_that_stay_are_not_disturbed() -> None:
    """New ones start, lost ones stop, and nobody claims a partition again that it has."""
    broker = MemoryBroker()
    engine = engine_over(broker)
    await engine.assign({0, 1})
    await until(engine.ready)
    await engine.assign({1, 2})
    await until(lambda: engine.ready() and broker.leases[0].released)
    assert [lease.partition for lease in broker.leases] == [0, 1, 2]
    assert engine.assigned == {1, 2}
    assert engine.owns(2)
    assert not engine.owns(0)
    with pytest.raises(NotReady, match="partition 0 is not owned"):
        engine.rows(0)
    await engine.stop()
    assert all(lease.released for lease in broker.leases)


async def test_a_lane_that_gave_up_is_started_again_with_the_next_assignment() -> None:
    """Fenced and not confirmed in the middle of a rebalance, the partition may well come back."""
    broker = MemoryBroker()
    engine = engine_over(broker)
    broker.may_hold = lambda _: False
    broker.on_call = failing("read", Fenced("gone"))
    await engine.assign({0})
    await until(lambda: engine.status()[0].state is LaneState.STOPPED)
    assert not engine.ready()
    broker.may_hold = lambda _: True
    await engine.assign({0})
    await until(engine.ready)
    await engine.stop()


async def test_a_partition_that_comes_back_while_its_step_ends_counts_once() -> None:
    """The new lane's claim fences the old one's step, or finds it committed."""
    broker = MemoryBroker()
    broker.hold_commit = asyncio.Event()
    broker.add(b"a")
    engine = engine_over(broker)
    await engine.assign({0})
    await until(lambda: "commit" in broker.calls)
    await engine.assign(set())
    await engine.assign({0})
    await until(lambda: broker.calls.count("claim") == 2)
    broker.hold_commit.set()
    await until(lambda: engine.ready() and engine.status()[0].next_offset == broker.end())
    await engine.stop()
    assert broker.rows[0] == {("counts", "a"): b"1"}
    assert len(broker.outputs) == 1


async def test_a_stopped_engine_takes_no_partition() -> None:
    """An assignment that comes during the stop starts nothing."""
    broker = MemoryBroker()
    engine = engine_over(broker)
    await engine.assign({0})
    await until(engine.ready)
    await engine.stop()
    await engine.assign({0, 1})
    assert broker.calls.count("claim") == 1
    assert not engine.ready()


async def test_an_engine_without_partitions_is_ready() -> None:
    """A worker more than there are partitions is well."""
    engine = engine_over(MemoryBroker())
    await engine.assign(set())
    assert engine.ready()
    assert engine.status() == []


async def test_status_tells_state_offsets_rows_and_lag() -> None:
    """Per partition; the lag is unknown until there is something to compare."""
    broker = MemoryBroker()
    broker.batch_size = 2
    engine = engine_over(broker)
    await engine.assign({3})
    (status,) = engine.status()
    assert (status.partition, status.state, status.lag) == (3, LaneState.CLAIMING, None)
    broker.hold_commit = asyncio.Event()
    broker.add(b"a", b"b", b"c", partition=3)
    await until(lambda: "commit" in broker.calls)
    (status,) = engine.status()
    assert (status.state, status.next_offset, status.end_offset, status.lag) == (LaneState.RUNNING, 0, 5, 5)
    broker.hold_commit.set()
    await until(lambda: engine.status()[0].lag == 0)
    assert engine.status() == [LaneStatus(3, LaneState.RUNNING, 5, 5, 3, 0, 0, None, 0)]
    await engine.stop()


# --- exactly once, whatever happens -----------------------------------------------------------------------------------

FAULTS = st.sampled_from(["fine", "fine", "fenced before", "fenced after", "unknown, done", "unknown, not done"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=25),
    st.integers(1, 6),
    st.lists(FAULTS, max_size=8),
)
def test_every_record_counts_once_whatever_happens_to_commits(
    values: list[bytes], batch_size: int, faults: list[str]
) -> None:
    """Fenced before or after, or without an answer, done or not: rows and outputs are those of each record once."""
    asyncio.run(one_life(values, batch_size, faults))


async def one_life(values: list[bytes], batch_size: int, faults: list[str]) -> None:
    """Work through values with these faults, one per commit, and check the result."""
    bench = Bench()
    broker = bench.broker
    broker.batch_size = batch_size
    broker.add(*values)
    fault = "fine"

    def before(call: str) -> None:
        nonlocal fault
        if call == "commit":
            fault = faults.pop(0) if faults else "fine"
            if fault == "fenced before":
                broker.fence()
            if fault == "unknown, not done":
                raise Unknown("no answer")

    def after() -> None:
        if fault == "fenced after":
            broker.fence()
        if fault == "unknown, done":
            raise Unknown("no answer")

    broker.on_call, broker.after_commit = before, after
    bench.start()
    await bench.until_committed()
    visible = bench.visible()
    await bench.lane.stopped(1)
    assert bench.failures == []
    expected = {value.decode(): values.count(value) for value in values}
    assert bench.counts() == visible == expected
    assert [output.value for output in broker.outputs] == values


async def test_a_step_comes_without_records_too_and_is_committed_only_if_it_led_to_something() -> None:
    """For what is due by time: the offset stays where it was."""
    seen = []

    async def agent(steps: AsyncIterator[Step]) -> None:
        async for step in steps:
            seen.append(len(step.records))
            if seen.count(0) == 2:
                step.table("counts").put("due", 1)

    bench = Bench(agent)
    bench.broker.add(b"a")
    bench.start()
    await bench.until(bench.counts)
    await bench.lane.stopped(1)
    assert seen[0] == 1
    assert bench.broker.calls.count("commit") == 2
    assert bench.broker.offsets[0] == bench.lane.next_offset == bench.broker.end()
    assert bench.counts() == {"due": 1}
