"""What a worker says of itself: how it stands with its own partitions, and what it made of their records."""

from typing import Any

from app.engine.engine import LaneStatus
from app.engine.errors import NotReady
from app.topics import OUTCOMES_TABLE
from app.web.node import Node, OwnPartitions


def joined(node: Node) -> bool:
    """Whether the worker has its place in the group; it may own nothing if there are more workers than partitions."""
    return node.engine is not None and bool(node.routes)


def own_status(node: Node) -> dict[str, Any]:
    """Return the status of this worker's own partitions, as JSON."""
    engine = node.engine
    return {"partitions": [_partition(engine, lane) for lane in engine.status()] if engine is not None else []}


def _partition(engine: OwnPartitions, lane: LaneStatus) -> dict[str, Any]:
    outcomes: dict[str, int] | None
    try:
        counts = engine.rows(lane.partition).tables[OUTCOMES_TABLE]
    except NotReady:
        outcomes = None
    else:
        outcomes = {outcome: counts.get(outcome) for outcome in counts.encoded}
    return {
        "partition": lane.partition,
        "state": lane.state,
        "next_offset": lane.next_offset,
        "end_offset": lane.end_offset,
        "lag": lane.lag,
        "rows": lane.rows,
        "outcomes": outcomes,
    }
