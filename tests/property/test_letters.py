"""Letters under any sequence of events and actions: every record is somewhere, once, and totals are of what counted."""

from collections import Counter
from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.table import encode_row
from app.pipeline import RETRY
from app.topics import HELD_TABLE, LETTERS_TABLE, ORDERS_TABLE, OUTCOMES_TABLE
from models.aggregates import AGGREGATES
from models.events import parse_event
from models.letters import HeldOrder, Letter
from models.order import Change, Order, apply, may_come_later, order_key
from tests.letters_kit import TOPICS, Run, action, event

ACTION = b"an action"

LIFE = [event(event_type) for event_type in ("created", "paid", "shipped", "delivered")]


@pytest.mark.parametrize("portion", [1, 2, 4])
def test_a_life_ends_in_the_same_tables_however_its_events_are_shuffled(portion: int) -> None:
    """Nothing is left but letters that are resolved; each event is told once."""
    totals = []
    for order in permutations(LIFE):
        run = Run()
        for start in range(0, 4, portion):
            run.step([(value, False) for value in order[start : start + portion]])
        assert [row.status for row in run.table(ORDERS_TABLE).values()] == ["delivered"]
        assert Counter(run.accepted) == Counter(LIFE)
        assert {letter.state for letter in run.table(LETTERS_TABLE).values()} <= {"resolved"}
        assert run.table(HELD_TABLE) == {}
        assert not [output for output in run.outputs if output.topic == TOPICS.dead_letters]
        totals.append({each.name: run.table(each.name) for each in AGGREGATES})
    assert all(total == totals[0] for total in totals)


# --- anything ---------------------------------------------------------------------------------------------------------

ORDERS = st.sampled_from(["o1", "o2"])
TYPES = st.sampled_from(["created", "created", "paid", "paid", "shipped", "delivered", "cancelled", "refunded"])
IDS = st.none() | st.none() | st.sampled_from(["same1", "same2", "same3"])
PLANS = st.sampled_from([*[""] * 6, "-fails-1", "-fails-3", "-fails-9", "-fails-0-refused", "-fails-2-refused"])
AMOUNTS = st.sampled_from([{}, {"amount": "3.00"}, {"amount": "7.01"}, {"amount": "99.00"}])


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """An event that may be good, early, late, twice or too much."""
    event_type = draw(TYPES)
    more = draw(AMOUNTS) if event_type == "refunded" else {}
    return event(event_type, draw(ORDERS), draw(IDS), plan=draw(PLANS), **more)


BROKEN = st.builds(lambda order: event("created", order, total_amount="-1"), ORDERS)
RUBBISH = st.sampled_from([b"", b"{", b'{"event_type":"order.lost"}', b"[]"]) | st.builds(
    lambda order: event("lost", order), ORDERS
)
RECORDS = st.lists(st.one_of(events(), events(), events(), BROKEN, RUBBISH), max_size=12)


@st.composite
def actions(draw: st.DrawFn) -> tuple[str, int, bytes | None]:
    """A deed, which of the letters it is for, and another value."""
    deed = draw(st.sampled_from(["redrive", "redrive", "purge"]))
    value = draw(st.none() | st.none() | events()) if deed == "redrive" else None
    return deed, draw(st.integers(0, 20)), value


EXERCISED: Counter[str] = Counter()

STEPS = st.lists(st.tuples(RECORDS, st.lists(actions(), max_size=3), st.booleans()), max_size=6)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_every_record_is_accepted_once_or_in_exactly_one_letter(
    steps: list[tuple[list[bytes], list[tuple[str, int, bytes | None]], bool]],
) -> None:
    """Whatever comes, is redriven, mended or purged, and whenever the worker ends in the middle of a step."""
    run, sent = Run(), list[bytes]()
    for records, asked, killed in steps:
        letters = sorted(run.table(LETTERS_TABLE))
        deeds = [action(deed, letters[n % len(letters)], value=value) for deed, n, value in asked if letters]
        batch = [(value, False) for value in records] + [(deed, True) for deed in deeds]
        if killed:
            run.step(batch, committed=False)
        run.step(batch)
        sent += [*records, *(ACTION for _ in deeds)]
        check(run, sent)
    left = RETRY.attempts * (len(sent) + 1)  # one after the other, if they are all of one order
    while any(letter.state == "retrying" for letter in run.table(LETTERS_TABLE).values()):
        run.step([])
        check(run, sent)
        left -= 1
        assert left, "it goes on without end"
    EXERCISED.update(run.table(OUTCOMES_TABLE).keys())


def test_all_of_that_has_come_about() -> None:
    """Each kind of outcome, in the runs before: else they would prove little."""
    assert EXERCISED.keys() >= {
        *("accepted", "duplicate", "parked", "waiting", "retrying", "redriven", "purged", "action_refused"),
        *("dead_letter:check_failed", "dead_letter:check_refused", "dead_letter:invalid_event"),
    }


def check(run: Run, sent: Sequence[bytes]) -> None:
    """Fail unless all that must always hold does."""
    letters: dict[str, Letter] = run.table(LETTERS_TABLE)
    held: dict[str, HeldOrder] = run.table(HELD_TABLE)
    orders: dict[str, Order] = run.table(ORDERS_TABLE)
    outcomes = run.table(OUTCOMES_TABLE)
    for name, letter in letters.items():
        offset = int(name.partition("-")[2])
        assert letter.value == sent[offset], "a letter holds another record"
    # Totals are those of what was accepted, in its order.
    replayed, changes = dict[str, Order](), list[Change]()
    for value in run.accepted:
        parsed = parse_event(value)
        key = order_key(parsed.customer_id, parsed.order_id)
        change = apply(replayed.get(key), parsed)
        assert isinstance(change, Change), "an event was accepted twice"
        replayed[key] = change.after
        changes.append(change)
    assert orders == replayed
    for aggregate in AGGREGATES:
        expected = {key: encode_row(row) for key, row in aggregate.contributions(changes).items()}
        assert {key: encode_row(row) for key, row in run.table(aggregate.name).items()} == expected
    # Who waits for whom.
    queued = [name for each in held.values() for name in each.queue]
    waiting = [name for each in held.values() for name in each.waiting]
    assert len({*queued, *waiting}) == len(queued) + len(waiting)
    for name, letter in letters.items():
        concerned = letter.order_id is not None and letter.customer_id is not None
        assert (name in waiting) == (letter.state == "waiting")
        assert (name in queued) == (concerned and (letter.undecided or letter.state == "parked"))
    for key, each in held.items():
        assert each.queue or each.waiting
        assert not each.following, "everything that may follow has followed"
        states = [letters[name].state for name in each.queue]
        assert all(state == "parked" for state in states[1:])
        assert not states or letters[each.queue[0]].undecided
        assert [int(name.partition("-")[2]) for name in each.queue[1:]] == sorted(
            int(name.partition("-")[2]) for name in each.queue[1:]
        ) or any(letters[name].redrives for name in each.queue)
        for name in each.waiting:
            assert may_come_later(orders.get(key), letters[name].event_type or ""), "it need not wait any more"
    told = Counter(output.value for output in run.outputs if output.topic == TOPICS.dead_letters)
    assert sum(told.values()) == sum(n for name, n in outcomes.items() if name.startswith("dead_letter:"))
    # Each record is a letter, or was accepted or ignored as it came.
    ends = Counter(letter.history[-1].deed for letter in letters.values())
    as_they_came = len(run.accepted) - ends["accepted"] + outcomes.get("duplicate", 0) - ends["duplicate"]
    assert as_they_came + len(letters) == sum(value is not ACTION for value in sent)
