"""What the model says of one partition: its lanes on two workers, what each worker was told, and the promises.

A row is the tuple of the records that were folded into it, so that a record that counts twice, or not at all, shows.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum, auto
from typing import Any, NamedTuple, Protocol

from tests.model.search import Move

WORKERS = (0, 1)
Ids = tuple[int, ...]


class At(StrEnum):
    """What a lane's task does next; by the names of the code."""

    STOPPED = "stopped"
    SOURCE_OFFSET = "_source_offset"  # a place of its own in a wrong order only
    CLAIM = "claim"
    LOAD = "load"
    READ = "read"
    SEND = "_send"  # Kafka
    COMMIT = "commit"
    PUBLISH = "publish"
    STILL_OURS = "_still_ours"


RUNNING = frozenset({At.READ, At.SEND, At.COMMIT, At.PUBLISH})
"""Where `Lane.rows` answers readers: `LaneState.RUNNING`."""


class Wrong(StrEnum):
    """Orders that are known to be wrong, each one line of the model. With none of them it does what the code does."""

    OFFSET_READ_BEFORE_CLAIM = auto()
    OFFSET_COMMITTED_BEFORE_ROWS = auto()
    ROWS_COMMITTED_BEFORE_OFFSET = auto()
    NO_FENCE = auto()
    NO_EXPECTED_OFFSET = auto()
    COMMIT_TRIED_AGAIN = auto()
    LOADED_TO_LAST_VISIBLE = auto()
    OUTPUT_OUTSIDE = auto()
    PUBLISHED_EARLY = auto()
    ROWS_KEPT = auto()
    FETCH_KEPT = auto()
    LEASE_OUTLIVES_CONNECTION = auto()
    ASKED_BEFORE_TOLD = auto()


class Write(NamedTuple):
    """What one call of `commit` writes. None: not that."""

    rows: Ids | None
    next_offset: int | None
    outputs: Ids


class Step(NamedTuple):
    """See `app.engine.step.Step`: `rows` are those of the lane with `records` folded in."""

    records: Ids
    first_offset: int
    next_offset: int
    rows: Ids

    def writes(self, wrong: frozenset[Wrong]) -> tuple[Write, ...]:
        """Return what is committed, call by call: one call, if all is right."""
        outputs = () if Wrong.OUTPUT_OUTSIDE in wrong else self.records
        if Wrong.OFFSET_COMMITTED_BEFORE_ROWS in wrong:
            return Write(None, self.next_offset, ()), Write(self.rows, None, outputs)
        if Wrong.ROWS_COMMITTED_BEFORE_OFFSET in wrong:
            return Write(self.rows, None, outputs), Write(None, self.next_offset, ())
        return (Write(self.rows, self.next_offset, outputs),)


class Lane(NamedTuple):
    """See `app.engine.lane.Lane`. `fetched` is where the fetch under way began; `written` counts calls of `commit`."""

    at: At = At.STOPPED
    rows: Ids = ()
    next_offset: int = 0
    fetched: int | None = None
    step: Step | None = None
    written: int = 0


class Told(NamedTuple):
    """What a worker knows of the group: whether the partition is `assigned` to it, and whether that is `settled`."""

    assigned: bool
    settled: bool


class Stored(NamedTuple):
    """What a broker keeps of a partition, as whoever reads it sees it. `source` holds the ids of the records."""

    source: Ids
    rows: Ids = ()
    next_offset: int = 0
    outputs: Ids = ()

    def take(self, write: Write) -> "Stored":
        """Return it with a step written."""
        rows = self.rows if write.rows is None else write.rows
        next_offset = self.next_offset if write.next_offset is None else write.next_offset
        return Stored(self.source, rows, next_offset, self.outputs + write.outputs)


class Part(NamedTuple):
    """One partition. `owner` is the worker that the group's coordinator names; `held` is the broker's own."""

    owner: int
    told: tuple[Told, Told]
    lanes: tuple[Lane, Lane]
    stored: Stored
    held: Any

    def lane(self, worker: int, lane: Lane) -> "Part":
        """Return it with a worker's lane as given."""
        return self._replace(lanes=(lane, self.lanes[1]) if worker == 0 else (self.lanes[0], lane))

    def tell(self, worker: int, told: Told) -> "Part":
        """Return it with what a worker knows as given."""
        return self._replace(told=(told, self.told[1]) if worker == 0 else (self.told[0], told))


Moves = Iterator[tuple[Move, Part]]


class Broker(Protocol):
    """A model of a broker: what each call of a lease does to a partition, and what the broker does by itself."""

    wrong: frozenset[Wrong]
    tells_always: bool
    """Whether a worker is told of every new assignment, or only of a share that differs."""
    commit_begins: At

    def start(self) -> Any:
        """Return `Part.held` at the beginning."""

    def mirrored(self, held: Any) -> Any:
        """Return `Part.held` as it would be if the two workers had each other's place."""

    def claim(self, part: Part, worker: int) -> Part:
        """Fence everybody else out."""

    def connected(self, part: Part, worker: int) -> bool:
        """Whether the connection of this worker's lease has not been cut."""

    def may_load(self, part: Part) -> bool:
        """Whether the state can be read to its end now."""

    def commit(self, part: Part, worker: int, me: str) -> Moves:
        """Take the lane of `worker` from `commit` (or `_send`) a step further."""

    def dropped(self, part: Part, worker: int) -> Iterator[tuple[str, Part]]:
        """Return what may have become of a call under way that nobody waits for any more, and of the lease."""

    def released(self, part: Part, worker: int) -> Part:
        """The lease was given up."""

    def alone(self, part: Part) -> Moves:
        """What happens on the broker by itself."""

    def committed(self, part: Part) -> Stored:
        """What is decided, even if not all of it can be seen yet."""


def reclaim(part: Part, worker: int, wrong: frozenset[Wrong], *, fenced: bool = False) -> Part:
    """Drop the rows and all that was read; then `_still_ours`."""
    lane = part.lanes[worker]
    kept = Lane(At.STILL_OURS)
    if Wrong.ROWS_KEPT in wrong and fenced:
        kept = kept._replace(rows=lane.rows)
    if Wrong.FETCH_KEPT in wrong:
        kept = kept._replace(fetched=lane.fetched)
    return part.lane(worker, kept)


def lane_moves(broker: Broker, part: Part, worker: int, me: str) -> Moves:
    """What the lane of `worker` may do now: `Lane._run` and all it calls."""
    lane, told, wrong = part.lanes[worker], part.told[worker], broker.wrong
    match lane.at:
        case At.SOURCE_OFFSET:
            yield Move("_source_offset", me), part.lane(worker, Lane(At.CLAIM, next_offset=part.stored.next_offset))
        case At.CLAIM:
            yield Move("claim", me), broker.claim(part, worker).lane(worker, lane._replace(at=At.LOAD))
        case At.LOAD | At.READ if not told.assigned:
            yield Move("release", me), broker.released(part, worker).lane(worker, Lane())
        case At.LOAD | At.READ if not broker.connected(part, worker):
            yield Move(lane.at, me, "Unknown: no connection"), reclaim(part, worker, wrong)
        case At.LOAD if broker.may_load(part):
            yield Move("load", me), part.lane(worker, _loaded(part, lane, wrong))
        case At.READ:
            yield from _reads(part, worker, me, broker)
        case At.SEND | At.COMMIT:
            yield from broker.commit(part, worker, me)
            yield from _cancelled(part, worker, me, broker)
        case At.PUBLISH:
            yield Move("publish", me), part.lane(worker, _published(lane))
        case At.STILL_OURS:
            yield from _still_ours(part, worker, me, broker)


def _cancelled(part: Part, worker: int, me: str, broker: Broker) -> Moves:
    """A lane that is to stop and whose step in flight takes longer than `STOP_SECONDS`."""
    if not part.told[worker].assigned:
        for outcome, after in broker.dropped(part, worker):
            yield Move("stopped", me, f"cancelled, {outcome}", fault=True), after.lane(worker, Lane())


def _published(lane: Lane) -> Lane:
    assert lane.step is not None
    return Lane(At.READ, lane.step.rows, lane.step.next_offset, lane.fetched)


def _loaded(part: Part, lane: Lane, wrong: frozenset[Wrong]) -> Lane:
    stored = part.stored
    rows = lane.rows if Wrong.ROWS_KEPT in wrong and lane.rows else stored.rows
    next_offset = lane.next_offset if Wrong.OFFSET_READ_BEFORE_CLAIM in wrong else stored.next_offset
    fetched = next_offset if lane.fetched is None else lane.fetched
    return Lane(At.READ, rows, next_offset, fetched)


def _reads(part: Part, worker: int, me: str, broker: Broker) -> Moves:
    """A batch of each size; the fetch that follows it is under way at once. Then the agent folds it into a step."""
    lane, source = part.lanes[worker], part.stored.source
    first = lane.next_offset if lane.fetched is None else lane.fetched
    for after in range(first + 1, len(source) + 1):
        records = source[first:after]
        step = Step(records, first, after, lane.rows + records)
        shown = step.rows if Wrong.PUBLISHED_EARLY in broker.wrong else lane.rows
        reading = lane._replace(at=broker.commit_begins, rows=shown, fetched=after, step=step, written=0)
        written = part.lane(worker, reading)
        if Wrong.OUTPUT_OUTSIDE in broker.wrong:
            written = written._replace(stored=part.stored._replace(outputs=part.stored.outputs + records))
        yield Move("read", me, f"{len(records)}"), written


def _still_ours(part: Part, worker: int, me: str, broker: Broker) -> Moves:
    told, claiming = part.told[worker], Lane(At.CLAIM, part.lanes[worker].rows, fetched=part.lanes[worker].fetched)
    if Wrong.OFFSET_READ_BEFORE_CLAIM in broker.wrong:
        claiming = claiming._replace(at=At.SOURCE_OFFSET)
    if not told.assigned or (not told.settled and broker.tells_always):
        yield Move("confirm", me, "no"), part.lane(worker, Lane())
    elif told.settled or Wrong.ASKED_BEFORE_TOLD in broker.wrong:
        ours = part.owner == worker
        yield Move("confirm", me, "yes" if ours else "no"), part.lane(worker, claiming if ours else Lane())


def breaks(broker: Broker, *promises: "Promise") -> Callable[[Part], str]:
    """Return what names the first of these promises that a partition breaks; "" if none."""

    def broken(part: Part) -> str:
        committed = broker.committed(part)
        return next((kept.__name__ for kept in promises if not kept(part, committed)), "")

    return broken


def counted_once(part: Part, committed: Stored) -> bool:
    """The rows are a fold of the first records: none is missing among them, and none counts twice."""
    return all(stored.rows == stored.source[: len(stored.rows)] for stored in (part.stored, committed))


def moves_together(part: Part, committed: Stored) -> bool:
    """Whoever loads finds the rows as they were at the offset that he finds."""
    return all(len(stored.rows) == stored.next_offset for stored in (part.stored, committed))


def output_once(part: Part, committed: Stored) -> bool:
    """No output is written twice."""
    return len(set(committed.outputs)) == len(committed.outputs)


def outputs_follow(part: Part, committed: Stored) -> bool:
    """There is one output for each committed record, in order; what can be seen is a beginning of that."""
    outputs, seen = committed.source[: committed.next_offset], part.stored.outputs
    return committed.outputs == outputs and seen == outputs[: len(seen)]


def shown_was_committed(part: Part, committed: Stored) -> bool:
    """Rows that readers are shown are those of some committed offset."""
    return all(lane.rows == committed.rows[: len(lane.rows)] for lane in part.lanes if lane.at in RUNNING)


Promise = Callable[[Part, Stored], bool]
PROMISES: tuple[Promise, ...] = (counted_once, moves_together, output_once, outputs_follow, shown_was_committed)
