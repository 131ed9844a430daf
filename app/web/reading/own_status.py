"""What a worker says of itself: how it stands with its own partitions, and what it made of their records."""

import time
from typing import Any, NotRequired, TypedDict
from weakref import WeakKeyDictionary, ref

import msgspec

from app.delivery.figures import Figures, figures_of
from app.engine.engine import LaneStatus
from app.engine.errors import NotReady
from app.engine.state import TableState
from app.topics import LETTERS_TABLE, OUTCOMES_TABLE
from app.web.node import Node, OwnPartitions
from app.web.reading.costly import Costly
from app.web.reading.queries import CountOf


def joined(node: Node) -> bool:
    """Whether the worker has its place in the group; it may own nothing if there are more workers than partitions."""
    return node.engine is not None and bool(node.routes)


class PartitionStatus(TypedDict):
    """What a worker says of a partition of its own. Offsets are None until known, outcomes unless it is running."""

    partition: int
    state: str
    next_offset: int | None
    end_offset: int | None
    lag: int | None
    lag_seconds: NotRequired[float | None]
    rows: int
    loaded: int
    to_load: int
    backlog: NotRequired[tuple[int, int] | None]
    outcomes: dict[str, int] | None
    letters: NotRequired[Figures | None]


class WorkerStatus(TypedDict):
    """What a worker says of itself. What older versions do not say is not required: others may still run one."""

    partitions: list[PartitionStatus]


class OwnStatus:
    """The status of this worker's own partitions."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._counted: WeakKeyDictionary[TableState, Costly[Figures]] = WeakKeyDictionary()

    async def letters(self) -> dict[int, Figures]:
        """Return how many letters there are in each running partition, as of a moment ago if they are many."""
        engine, counted = self._node.engine, {}
        if engine is not None:
            for lane in engine.status():
                try:
                    rows = engine.rows(lane.partition).tables[LETTERS_TABLE]
                except NotReady:
                    continue
                counted[lane.partition] = await self._counter(rows).get()
        return counted

    async def view(self) -> dict[str, Any]:
        """Return the status, as other workers get it as JSON."""
        view: dict[str, Any] = msgspec.to_builtins(await self.status())
        return view

    async def status(self) -> WorkerStatus:
        """Return the status."""
        engine = self._node.engine
        if engine is None:
            return {"partitions": []}
        letters, now = await self.letters(), time.time()
        return {"partitions": [_partition(engine, lane, letters, now) for lane in engine.status()]}

    def _counter(self, rows: TableState) -> Costly[Figures]:
        """Return what counts the letters of a partition, for as long as this worker has it."""
        if rows not in self._counted:
            table = ref(rows)

            async def count() -> Figures:
                letters, now = table(), time.time()
                if letters is None:
                    return figures_of((), now)
                (figures,) = [found async for _, found in CountOf(now).select(letters)]
                return figures

            self._counted[rows] = Costly(count)
        return self._counted[rows]


def lag_seconds(lane: LaneStatus, now: float) -> float | None:
    """Return for how long the records that wait have done so, at most: since the last one that was handled.

    Without any that wait it is nothing; None where it is not known.
    """
    if lane.lag == 0:
        return 0.0
    if lane.lag is None or lane.last_timestamp is None:
        return None
    return max(0.0, now - lane.last_timestamp / 1_000)


def _partition(engine: OwnPartitions, lane: LaneStatus, letters: dict[int, Figures], now: float) -> PartitionStatus:
    outcomes: dict[str, int] | None
    try:
        counts = engine.rows(lane.partition).tables[OUTCOMES_TABLE]
    except NotReady:
        outcomes = None
    else:
        outcomes = {outcome: counts.get(outcome) for outcome in counts.encoded}
    figures = letters.get(lane.partition)
    return {
        "partition": lane.partition,
        "state": lane.state,
        "next_offset": lane.next_offset,
        "end_offset": lane.end_offset,
        "lag": lane.lag,
        "lag_seconds": lag_seconds(lane, now),
        "rows": lane.rows,
        "loaded": lane.loaded,
        "to_load": lane.to_load,
        "backlog": lane.backlog,
        "outcomes": outcomes,
        "letters": None if outcomes is None else figures,
    }
