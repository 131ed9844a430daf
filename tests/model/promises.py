"""What must hold of a partition in every state, whatever happens."""

from collections.abc import Callable

from tests.model.partition import RUNNING, Broker, Part, Stored

Promise = Callable[[Part, Stored], bool]
"""Whether it holds, given what the broker has decided."""


def breaks(broker: Broker, *promises: Promise) -> Callable[[Part], str]:
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


ALL_BUT_SHOWN: tuple[Promise, ...] = (counted_once, moves_together, output_once, outputs_follow)
PROMISES: tuple[Promise, ...] = (*ALL_BUT_SHOWN, shown_was_committed)
