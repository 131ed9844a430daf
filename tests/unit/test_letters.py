"""What letters are bound by, and what is not taken for one: by hand, as cases."""

import json
from typing import Any

import msgspec
import pytest

from app.delivery import follow_up
from app.delivery.actions import ACTION_HEADER
from app.delivery.desk import LARGEST_MOVE, LETTER_HEADER, MAX_QUEUE, MAX_WAITING
from app.engine.state import SPARE_DUE
from app.topics import HELD_TABLE, LETTERS_TABLE, ORDERS_TABLE, OUTCOMES_TABLE, partition_of
from models.letters import HISTORY, Letter
from tests.letters_kit import TOPICS, Run, action, event

SMALL = 40_000


def letters(run: Run) -> dict[str, Letter]:
    """Return the letters there are."""
    found: dict[str, Letter] = run.table(LETTERS_TABLE)
    return found


def in_the_topic(run: Run) -> list[bytes | None]:
    """Return the values of what is in the topic of dead letters."""
    return [output.value for output in run.outputs if output.topic == TOPICS.dead_letters]


def statuses(run: Run) -> dict[str, str]:
    """Return the status of each order."""
    return {key.split("\x1f")[1]: order.status for key, order in run.table(ORDERS_TABLE).items()}


@pytest.mark.parametrize(
    "kind", [lambda n: event("paid", f"o{n}"), lambda n: event("created", f"o{n}", plan="-fails-99")]
)
def test_open_letters_that_have_no_room_are_in_the_topic_of_dead_letters(kind: Any) -> None:
    """Those that wait, or are tried again, were in no topic before: nothing is dropped."""
    run = Run(SMALL)
    sent = [kind(n) for n in range(500)]
    for start in range(0, 500, 50):
        run.step([(value, False) for value in sent[start : start + 50]])
    for _ in range(9):
        run.step([])
    kept = [letter.value for letter in letters(run).values()]
    assert 0 < len(kept) < 200
    assert set(kept) | set(in_the_topic(run)) == set(sent)


def test_closed_letters_go_before_open_ones() -> None:
    """What nobody needs any more makes room first."""
    run = Run(SMALL)
    run.step([(event("paid", "early"), False)])
    for n in range(300):
        run.step([(event("paid", f"o{n}"), False), (event("created", f"o{n}"), False)])
    assert letters(run)["0-0"].state == "waiting"
    assert len(letters(run)) < 100


def test_an_order_that_is_held_up_makes_room_too() -> None:
    """Though all that can be seen of it at first are parked letters, whose head came later."""
    run = Run(SMALL)
    run.step([(event("created", "o", total_amount="-1"), False)])
    run.step([(event("paid", "o", event_id=f"e{n}"), False) for n in range(400)])
    for _ in range(20):
        run.step([])
    table = run._state.tables[LETTERS_TABLE]
    assert table.bytes <= SMALL


def test_what_is_known_of_due_letters_does_not_grow_without_end() -> None:
    """Letters that went before they were due leave nothing behind."""
    run = Run(SMALL)
    for _ in range(60):
        pairs = [
            (event("paid", f"o{run.next_offset}-{n}"), event("created", f"o{run.next_offset}-{n}")) for n in range(100)
        ]
        run.step([(value, False) for pair in pairs for value in pair])
    table = run._state.tables[LETTERS_TABLE]
    assert len(table._due) <= 2 * len(table.encoded) + SPARE_DUE


def test_actions_of_another_application_are_none_of_ours() -> None:
    """Several may read the same topic; each has letters of its own."""
    run = Run()
    run.step([(b"{", False)])
    run.step([(action("purge", "0-0", app="other"), True)])
    assert letters(run)["0-0"].state == "dead"
    assert "action_refused" not in run.table(OUTCOMES_TABLE)


def moved(app: str = "group", name: str = "0-0", **changes: Any) -> tuple[bytes, tuple[tuple[str, bytes | None], ...]]:
    """Return a record that carries a letter to this partition."""
    run = Run()
    run.step([(b"{", False)])
    (letter,) = letters(run).values()
    value = event("created", "moved")
    sent = msgspec.structs.replace(letter, **{"state": "retrying", "due_at": 0.0, "mended": value, "home": 0} | changes)
    return value, ((LETTER_HEADER, msgspec.json.encode((app, name, sent))),)


def test_a_letter_that_was_sent_on_counts() -> None:
    """Once, in the application that it is of."""
    run = Run()
    run.step([moved(app="other")])
    assert not statuses(run)
    run.step([moved()])
    assert statuses(run) == {"moved": "created"}
    assert len(run.accepted) == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"name": "foo"},
        {"name": "0-x"},
        {"name": "7-5"},
        {"timestamp": 2**63 - 1, "state": "dead"},
        {"first_failed_at": 1e18},
        {"state": "resolved"},
        {"due_at": None},
    ],
)
def test_what_says_it_is_a_letter_and_is_none_becomes_one(odd: dict[str, Any]) -> None:
    """It stops nobody."""
    run = Run()
    bad, good = event("created", "bad"), event("created", "good")
    run.step([moved(**odd), (bad, ((LETTER_HEADER, None),)), (good, False)])
    assert statuses(run) == {"good": "created"}
    assert {name: each.cause for name, each in letters(run).items()} == dict.fromkeys(["0-0", "0-1"], "handler_failed")


def test_what_says_it_is_an_action_and_is_none_becomes_a_letter() -> None:
    """An event with such a header is not lost."""
    run = Run()
    run.step([(event("created", "o"), ((ACTION_HEADER, b""),))])
    (letter,) = letters(run).values()
    assert (letter.state, letter.cause) == ("dead", "invalid_event")


@pytest.mark.parametrize("wrong", [b"no JSON", json.dumps({"event_type": "order.paid"}).encode()])
def test_a_wrong_mend_lets_nobody_pass(wrong: bytes) -> None:
    """The order is held up until its letter is decided, whatever somebody has tried."""
    run = Run()
    run.step([(event("created", "o"), False), (event("paid", "o"), False)])
    run.step([(event("refunded", "o", amount="a lot"), False), (event("cancelled", "o"), False)])
    run.step([(action("redrive", "0-2", value=wrong), True)])
    assert (letters(run)["0-2"].state, letters(run)["0-3"].state) == ("dead", "parked")
    assert run.table(HELD_TABLE)
    run.step([(action("redrive", "0-2", value=event("refunded", "o", amount="3.00")), True)])
    assert statuses(run) == {"o": "cancelled"}
    assert {each.state for each in letters(run).values()} == {"resolved"}


def test_a_fault_of_ours_on_an_order_that_is_held_up_parks_its_event() -> None:
    """It does not jump the queue, nor is it told twice."""
    run = Run()
    run.step([(event("created", "o", total_amount="-1"), False)])
    run.step([(event("paid", "o"), ((LETTER_HEADER, b"rubbish"),))])
    assert [each.state for each in letters(run).values()] == ["dead", "parked"]
    assert len(in_the_topic(run)) == 1


def test_the_head_that_nobody_has_tried_yet_is_in_the_topic_when_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parked letter has been told to nobody; as the head of its queue it can be the one that makes room."""
    run = Run(SMALL)
    values = [event("created", "o", total_amount="-1"), *(event("paid", "o", event_id=f"e{n}") for n in range(400))]
    run.step([(values[0], False)])
    run.step([(value, False) for value in values[1:]])
    monkeypatch.setattr(follow_up, "DUE_AT_ONCE", 0)  # steps in which no tries are left, as after many others
    for _ in values:
        run.step([])
    assert run._state.tables[LETTERS_TABLE].bytes <= SMALL
    kept = [letter.value for letter in letters(run).values()]
    assert set(kept) | set(in_the_topic(run)) == set(values)


def test_early_events_wait_up_to_a_bound() -> None:
    """One more is refused for good, and said so."""
    run = Run()
    run.step([(event("paid", "o"), False) for _ in range(MAX_WAITING + 3)])
    states = [each.state for each in letters(run).values()]
    assert (states.count("waiting"), states.count("dead"), len(in_the_topic(run))) == (MAX_WAITING, 3, 3)


def test_a_queue_has_a_bound() -> None:
    """What comes to a full one is dead at once, and in the topic."""
    run = Run()
    run.step([(event("created", "o", total_amount="-1"), False)])
    run.step([(event("paid", "o"), False) for _ in range(MAX_QUEUE + 3)])
    causes = [each.cause for each in letters(run).values()]
    assert (causes.count("parked"), causes.count("too_many_parked")) == (MAX_QUEUE - 1, 4)
    assert len(in_the_topic(run)) == 5


def test_a_letter_does_not_grow_with_every_redrive() -> None:
    """What came first and what came last is kept of its history."""
    run = Run()
    run.step([(event("refunded", "o", amount="a lot"), False)])
    for _ in range(100):
        run.step([(action("redrive", "0-0"), True)])
    letter = letters(run)["0-0"]
    assert (letter.redrives, len(letter.history)) == (100, HISTORY)
    assert [letter.history[0].deed, letter.history[-1].deed, letter.history[-2].deed] == [
        "failed",
        "failed",
        "redriven",
    ]
    assert letter.history[-1].at > letter.history[-3].at
    assert (letter.first_failed_at, letter.last_failed_at) == (letter.history[0].at, letter.history[-1].at)


def test_closed_letters_are_kept_for_their_time_and_no_longer() -> None:
    """A step takes 1,000 s here, and they are kept for 2,500."""
    run = Run(keep_seconds=2_500.0)
    run.step([(event("refunded", "o", amount="a lot"), False)])
    run.step([(action("purge", "0-0"), True)])
    for _ in range(2):
        run.step([])
        assert letters(run)["0-0"].state == "purged"
    run.step([])
    assert not letters(run)
    assert not run.rows[LETTERS_TABLE]


def test_a_letter_that_is_mended_to_another_customer_goes_to_his_partition() -> None:
    """With its history, and without a trace where it was: what comes of it is told there."""
    partition = partition_of("c", 2)
    customer = next(name for name in map(str, range(99)) if partition_of(name, 2) != partition)
    run = Run(partitions=2, partition=partition)
    run.step([(event("created", "o", total_amount="a lot"), False)])
    run.step([(action("redrive", f"{partition}-0", value=event("created", "o", customer_id=customer)), True)])
    assert not letters(run)
    (sent,) = [output for output in run.outputs if output.topic == TOPICS.orders]
    assert sent.partition == 1 - partition
    other = Run(partitions=2, partition=1 - partition)
    other.step([(sent.value or b"", tuple(sent.headers))])
    (letter,) = letters(other).values()
    assert (letter.state, letter.redrives) == ("resolved", 1)
    assert statuses(other) == {"o": "created"}


def test_a_mended_letter_that_is_too_large_for_another_partition_stays() -> None:
    """No topic would take it; it is told, and can be mended again."""
    partition = partition_of("c", 2)
    customer = next(name for name in map(str, range(99)) if partition_of(name, 2) != partition)
    run = Run(partitions=2, partition=partition)
    run.step([(b"{" + b" " * LARGEST_MOVE, False)])
    mended = event("created", "o", customer_id=customer)
    run.step([(action("redrive", f"{partition}-0", value=mended), True)])
    letter = letters(run)[f"{partition}-0"]
    assert letter.state == "dead"
    assert "too large" in letter.error
    assert not [output for output in run.outputs if output.topic == TOPICS.orders]
