"""A model of a lane: what its task may do next, and what that makes of its partition."""

from tests.model.partition import At, Broker, Lane, Moves, Part, Step, Wrong
from tests.model.search import Move

TORN = (-1,)
"""Rows of more than one step, each as it was at another moment."""


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
            yield Move("claim", me), broker.claim(part, worker).lane(worker, _claimed(part, lane, broker))
        case At.LOAD | At.READ if not told.assigned:
            yield Move("release", me), broker.released(part, worker).lane(worker, Lane())
        case At.LOAD | At.READ if not broker.connected(part, worker):
            yield Move(lane.at, me, "Unknown: no connection"), reclaim(part, worker, wrong)
        case At.LOAD if broker.may_load(part):
            yield Move("load", me), part.lane(worker, _loaded(part, lane, broker))
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


def _claimed(part: Part, lane: Lane, broker: Broker) -> Lane:
    if broker.claim_tells_offset and Wrong.OFFSET_READ_BEFORE_CLAIM not in broker.wrong:
        lane = lane._replace(next_offset=part.stored.next_offset)
    return lane._replace(at=At.LOAD)


def _loaded(part: Part, lane: Lane, broker: Broker) -> Lane:
    stored, wrong = part.stored, broker.wrong
    if Wrong.LOADED_IN_PARTS in wrong and not lane.written:
        return lane._replace(rows=stored.rows, written=1)  # of some tables
    rows = stored.rows
    if Wrong.ROWS_KEPT in wrong and lane.rows:
        rows = lane.rows
    if Wrong.LOADED_IN_PARTS in wrong and lane.rows != stored.rows:
        rows = TORN
    known = broker.claim_tells_offset or Wrong.OFFSET_READ_BEFORE_CLAIM in wrong
    next_offset = lane.next_offset if known else stored.next_offset
    return Lane(At.READ, rows, next_offset, next_offset if lane.fetched is None else lane.fetched)


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
    else:
        ours = part.owner == worker
        if not told.settled and Wrong.NOT_TOLD_AGAIN not in broker.wrong:
            part = part.tell(worker, told._replace(anew=True))
        yield Move("confirm", me, "yes" if ours else "no"), part.lane(worker, claiming if ours else Lane())
