"""Every order that is known to be wrong is found out: the search can see what it looks for."""

from typing import NamedTuple

import pytest

from tests.model.kafka import Kafka
from tests.model.lane import TORN
from tests.model.partition import Broker, Ids, Part, Wrong
from tests.model.promises import ALL_BUT_SHOWN, Promise, counted_once, output_once, shown_was_committed
from tests.model.redis import Redis
from tests.model.world import Model

BEFORE_CLAIM = Wrong.OFFSET_READ_BEFORE_CLAIM
OFFSET_FIRST = Wrong.OFFSET_COMMITTED_BEFORE_ROWS
ROWS_FIRST = Wrong.ROWS_COMMITTED_BEFORE_OFFSET
UNCHECKED = Wrong.NO_EXPECTED_OFFSET
AGAIN = Wrong.COMMIT_TRIED_AGAIN


class Case(NamedTuple):
    """A wrong order, the promise it breaks, what it looks like, and moves of which its trace consists, in order."""

    broker: Broker
    promise: Promise
    seen: Ids
    trace: tuple[str, ...]
    records: int = 2


CASES = [
    Case(Kafka(BEFORE_CLAIM), counted_once, (0, 0), ("_source_offset", "commit_transaction", "claim", "load", "_send")),
    Case(Redis(BEFORE_CLAIM, UNCHECKED), counted_once, (0, 0), ("_source_offset", "commit", "claim", "load", "commit")),
    Case(Kafka(OFFSET_FIRST), counted_once, (1,), ("commit_transaction", "load", "read", "commit_transaction")),
    Case(Redis(OFFSET_FIRST), counted_once, (1,), ("commit", "claim", "load", "read", "commit")),
    Case(Kafka(ROWS_FIRST), counted_once, (0, 0), ("commit_transaction", "load", "read", "commit_transaction")),
    Case(Redis(ROWS_FIRST), counted_once, (0, 0), ("commit", "claim", "load", "read", "commit")),
    Case(Kafka(Wrong.NO_FENCE), output_once, (0, 0), ("claim", "claim", "commit_transaction", "commit_transaction")),
    Case(Redis(Wrong.NO_FENCE, UNCHECKED), output_once, (0, 0), ("claim", "claim", "commit", "commit")),
    Case(Kafka(AGAIN), output_once, (0, 0), ("commit_transaction → Unknown: applied", "_send", "commit_transaction")),
    Case(Redis(AGAIN, UNCHECKED), output_once, (0, 0), ("commit → Unknown: applied", "commit")),
    Case(
        Kafka(Wrong.LOADED_TO_LAST_VISIBLE),
        *(output_once, (0, 0)),
        ("commit_transaction", "claim", "load", "WriteTxnMarkers → state, PrepareCommit", "commit_transaction"),
    ),
    Case(Kafka(Wrong.OUTPUT_OUTSIDE), output_once, (0, 0), ("read", "claim", "load", "read")),
    Case(Redis(Wrong.OUTPUT_OUTSIDE), output_once, (0, 0), ("read", "claim", "load", "read")),
    Case(Kafka(Wrong.PUBLISHED_EARLY), shown_was_committed, (0,), ("claim", "load", "read")),
    Case(Redis(Wrong.PUBLISHED_EARLY), shown_was_committed, (0,), ("claim", "load", "read")),
    Case(Kafka(Wrong.LOADED_IN_PARTS), shown_was_committed, TORN, ("claim", "load", "claim", "load")),
    Case(Redis(Wrong.LOADED_IN_PARTS), shown_was_committed, TORN, ("claim", "load", "claim", "load")),
    Case(Kafka(Wrong.ROWS_KEPT), counted_once, (0, 2), ("publish", "_send → Fenced", "claim", "load", "read"), 3),
    Case(
        Redis(Wrong.ROWS_KEPT),
        counted_once,
        (0, 2),
        ("publish", "commit → Fenced", "claim", "load", "read"),
        3,
    ),
    Case(Kafka(Wrong.FETCH_KEPT), counted_once, (1,), ("read", "claim", "load", "read", "commit_transaction")),
    Case(Redis(Wrong.FETCH_KEPT), counted_once, (1,), ("read", "claim", "load", "read", "commit")),
    Case(
        Redis(Wrong.LEASE_OUTLIVES_CONNECTION, everysec=True),
        *(counted_once, (0,)),
        ("load", "append", "read", "restart", "commit"),
        0,
    ),
]


def name(case: Case) -> str:
    """Return a case's name."""
    return f"{type(case.broker).__name__}: {', '.join(sorted(case.broker.wrong))}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_wrong_order_is_found_out(case: Case) -> None:
    """With a trace that shows why it is wrong."""
    found = Model(case.broker, (case.records,)).search(case.promise, most_faults=2)
    assert found.broken == case.promise.__name__, found.told()
    assert found.trace is not None
    assert found.state is not None
    moves = iter([str(move).partition(": ")[2] for move in found.trace])
    for wanted in case.trace:
        assert any(move.startswith(wanted) for move in moves), f"no {wanted} (any more) in\n{found.told()}"
    assert case.seen in _what_is_wrong(case.broker, found.state[0]), found.told()


def _what_is_wrong(broker: Broker, part: Part) -> list[Ids]:
    """Return rows and outputs as they are decided, and rows as readers are shown them."""
    committed = broker.committed(part)
    return [part.stored.rows, committed.rows, committed.outputs, *(lane.rows for lane in part.lanes)]


def test_every_wrong_order_has_its_case() -> None:
    """None is only written down."""
    tried = set().union(*(case.broker.wrong for case in CASES))
    assert tried == set(Wrong) - {Wrong.NOT_TOLD_AGAIN}, "that one breaks no promise, it wedges"


@pytest.mark.parametrize("broker", [Kafka(Wrong.LOADED_IN_PARTS), Redis(Wrong.LOADED_IN_PARTS)])
def test_a_state_that_changes_while_it_is_loaded_is_never_counted(broker: Broker) -> None:
    """Who is fenced while it loads would show rows of several steps, but can commit nothing made of them."""
    found = Model(broker, (2,)).search(*ALL_BUT_SHOWN, most_faults=2)
    assert found.trace is None, found.told()


def test_a_share_that_a_lane_asked_about_must_be_told_again() -> None:
    """Redis tells of a share that differs only: a lane that heard "no", and ended, would stay so if it came back."""
    found = Model(Redis(Wrong.NOT_TOLD_AGAIN), (2,)).search()
    assert found.broken == "wedged"
    assert found.trace is not None
    answers = [move.outcome for move in found.trace if move.name == "confirm"]
    assert answers[-1] == "no", found.told()
