"""What the model says of one partition: its lanes on two workers, and what each worker was told of it.

A row is the tuple of the records that were folded into it, so that a record that counts twice, or not at all, shows.
"""

from collections.abc import Iterator
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
    NOT_TOLD_AGAIN = auto()
    LOADED_IN_PARTS = auto()


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
    """What a worker knows of the group: whether the partition is `assigned` to it, and whether that is `settled`.

    `anew`: it will be told again even if nothing has changed by then, because it asked in between.
    """

    assigned: bool
    settled: bool
    anew: bool = False


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
    claim_tells_offset: bool
    """Whether the offset comes with the claim, or is among the rows."""

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
