"""What a worker says of itself: how it stands with its own partitions, and what it made of their records."""

import time
from typing import Any

import msgspec

from app.delivery.figures import Figures, figures_of
from app.engine.engine import LaneStatus
from app.engine.errors import NotReady
from app.topics import LETTERS_TABLE, OUTCOMES_TABLE
from app.web.node import Node, OwnPartitions
from app.web.reading.costly import Costly
from app.web.reading.queries import CountOf
from app.web.reading.whole import own_rows


def joined(node: Node) -> bool:
    """Whether the worker has its place in the group; it may own nothing if there are more workers than partitions."""
    return node.engine is not None and bool(node.routes)


class OwnStatus:
    """The status of this worker's own partitions."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._letters = Costly(self._count_letters)

    async def letters(self) -> dict[int, Figures]:
        """Return how many letters there are in each running partition, as of a moment ago if they are many."""
        return await self._letters.get()

    async def view(self) -> dict[str, Any]:
        """Return the status, as JSON for other workers."""
        engine = self._node.engine
        if engine is None:
            return {"partitions": []}
        letters, now = await self.letters(), time.time()
        return {"partitions": [_partition(engine, lane, letters, now) for lane in engine.status()]}

    async def _count_letters(self) -> dict[int, Figures]:
        engine, counted = self._node.engine, {}
        if engine is not None:
            for lane in engine.status():
                try:
                    found = await own_rows(engine, CountOf(LETTERS_TABLE, time.time()), [lane.partition])
                except NotReady:
                    continue
                counted[lane.partition] = found.get(CountOf.key) or figures_of((), 0.0)
        return counted


def lag_seconds(lane: LaneStatus, now: float) -> float | None:
    """Return for how long the records that wait have done so, at most: since the last one that was handled.

    Without any that wait it is nothing; None where it is not known.
    """
    if lane.lag == 0:
        return 0.0
    if lane.lag is None or lane.last_timestamp is None:
        return None
    return max(0.0, now - lane.last_timestamp / 1_000)


def _partition(engine: OwnPartitions, lane: LaneStatus, letters: dict[int, Figures], now: float) -> dict[str, Any]:
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
        "backlog": None if lane.backlog is None else list(lane.backlog),
        "outcomes": outcomes,
        "letters": None if figures is None or outcomes is None else msgspec.to_builtins(figures),
    }
