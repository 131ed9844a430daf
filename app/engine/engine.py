"""The engine of a worker: one lane per partition it owns, started and stopped as the assignment changes."""

import asyncio
import logging
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from app.engine.broker import Broker
from app.engine.clock import Clock
from app.engine.errors import EngineError, NotReady
from app.engine.lane import Agent, Lane, LaneState
from app.engine.observer import Observer
from app.engine.state import PartitionState
from app.engine.table import Table
from app.engine.turns import Turns

log = logging.getLogger(__name__)

STOP_SECONDS = 2.5
"""How long a step in flight may take when its lane is to stop; a clean stop must be over within 3 s."""


class LaneStatus(NamedTuple):
    """What a lane tells of itself. Offsets are None until known; `loaded` of `to_load` has been read back.

    `backlog` is that of the lease (see `app.engine.broker`), `last_timestamp` that of the last record handled, in ms.
    """

    partition: int
    state: LaneState
    next_offset: int | None
    end_offset: int | None
    rows: int
    loaded: int
    to_load: int
    backlog: tuple[int, int] | None = None
    last_timestamp: int | None = None

    @property
    def lag(self) -> int | None:
        """Return how many records wait, None while unknown."""
        if self.next_offset is None or self.end_offset is None:
            return None
        return max(0, self.end_offset - self.next_offset)


class Engine:
    """Runs one agent over all partitions of this worker."""

    def __init__(
        self,
        broker: Broker,
        tables: tuple[Table, ...],
        agent: Agent,
        clock: Clock,
        on_failure: Callable[[EngineError], None],
        observer: Observer | None = None,
    ) -> None:
        self.tables = tables
        self._broker = broker
        self._agent = agent
        self._clock = clock
        self._on_failure = on_failure
        self._observer = observer or Observer()
        self._turns = Turns()
        self._lanes: dict[int, Lane] = {}
        self._assigned: frozenset[int] = frozenset()
        self._stopping = False
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def assigned(self) -> frozenset[int]:
        """The partitions this worker owns by the last assignment."""
        return self._assigned

    async def assign(self, partitions: AbstractSet[int]) -> None:
        """Make the lanes match the assignment. Lanes that stay are not disturbed; a lost one still ends its step.

        That is not waited for: no heartbeats go out while a group's assignment is being taken in.
        """
        self._assigned = frozenset(partitions)
        self._observer.rebalanced()
        lost = [lane for partition, lane in self._lanes.items() if partition not in partitions]
        for lane in lost:
            del self._lanes[lane.partition]
        for partition in sorted(partitions):
            lane_now = self._lanes.get(partition)
            if not self._stopping and (lane_now is None or not lane_now.alive):
                self._lanes[partition] = self._new_lane(partition)
                self._lanes[partition].start(self._on_failure)
        if lost:
            ending = asyncio.create_task(self._stop(lost))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def _new_lane(self, partition: int) -> Lane:
        return Lane(partition, self._broker, self.tables, self._agent, self._clock, self._turns, self._observer)

    async def stop(self) -> None:
        """Let every lane end its step, then give all partitions up."""
        self._stopping = True
        await asyncio.gather(self._stop(list(self._lanes.values())), *self._ending)

    def owns(self, partition: int) -> bool:
        """Whether the last assignment gave `partition` to this worker."""
        return partition in self._assigned

    def rows(self, partition: int) -> PartitionState:
        """Return the committed rows of `partition`; raises `NotReady` if they are not to be had here now."""
        lane = self._lanes.get(partition)
        if lane is None:
            raise NotReady(partition, "is not owned by this worker")
        return lane.rows

    def ready(self) -> bool:
        """Whether every partition of this worker is loaded and running."""
        return not self._stopping and all(status.state is LaneState.RUNNING for status in self.status())

    def status(self) -> list[LaneStatus]:
        """Return what each lane tells of itself, by partition."""
        return [_status(lane) for _, lane in sorted(self._lanes.items())]

    async def _stop(self, lanes: list[Lane]) -> None:
        for lane in lanes:
            lane.ask_to_stop()
        await asyncio.gather(*(lane.stopped(STOP_SECONDS) for lane in lanes))


def _status(lane: Lane) -> LaneStatus:
    rows = lane.rows.row_count() if lane.state is LaneState.RUNNING else 0
    return LaneStatus(
        lane.partition,
        lane.state,
        lane.next_offset,
        lane.end_offset,
        rows,
        *lane.loaded,
        lane.backlog,
        lane.last_timestamp,
    )
