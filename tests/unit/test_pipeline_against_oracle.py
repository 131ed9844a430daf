"""The pipeline and the oracle share no code: over thousands of records they must say the same."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

import pytest

from app.delivery.actions import ACTION_HEADER, Action, Deed, encode_action
from app.delivery.dead_letters import DeadLetters
from app.engine.clock import Clock
from app.engine.state import PartitionState
from app.engine.step import Output, Step
from app.pipeline import OrderPipeline
from app.sources.samples import sample_events
from app.tables import TABLES
from app.topics import LETTERS_TABLE, ORDERS_TABLE, OUTCOMES_TABLE, topics_for
from app.views import VIEWS
from models.aggregates import AGGREGATES
from models.letters import letter_id
from tests.letters_kit import Record
from tests.oracle import Expected, Key, LogRecord, expect
from tests.oracle_events import header

TOPICS = topics_for("", "app")


class Run(NamedTuple):
    """What came of records: rows as readers get them, states of letters, counts, and outputs."""

    tables: dict[str, dict[Key, Any]]
    letters: dict[tuple[int, int], str]
    outcomes: dict[str, int]
    outputs: list[Output]

    def causes(self) -> dict[tuple[int, int], list[str]]:
        """Return the causes of dead letters as the topic has them: one for each time that one was found dead."""
        found: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
        for output in self.outputs:
            if output.topic == TOPICS.dead_letters:
                offset = int.from_bytes(header(output.headers, "kafka_dlt-original-offset"), "big")
                found[0, offset].append(header(output.headers, "orderflow-cause").decode())
        return found

    def accepted(self) -> list[str]:
        """Return the ids of the events that counted, in their order."""
        updates = [output for output in self.outputs if output.topic == TOPICS.order_updates]
        return [header(output.headers, "event_id").decode() for output in updates]


def is_action(value: bytes) -> bool:
    """Whether a record of these tests is an action."""
    return value.startswith(b'{"deed"')


def headers_of(value: bytes) -> tuple[tuple[str, bytes | None], ...]:
    """Return the headers that its sender would give a record."""
    return ((ACTION_HEADER, b""),) if is_action(value) else ()


def handled(values: Sequence[bytes], chance: Random) -> Run:
    """Let the pipeline of one partition work through records, in steps of any size."""
    pipeline = OrderPipeline(TOPICS, 1, DeadLetters("dead-letters", "orders", "group", "1"), Clock())
    state, outputs, at = PartitionState(table.table for table in TABLES), list[Output](), 0
    while at < len(values):
        end = min(len(values), at + chance.choice([1, 3, 100, 2_000]))
        step = Step(
            0,
            [Record(offset, values[offset], headers=headers_of(values[offset])) for offset in range(at, end)],
            at,
            end,
            state,
        )
        asyncio.run(pipeline.handle(step))
        outputs += step.outputs
        step.publish(step.encoded())
        at = end
    rows = {table.name: {key: table.get(key) for key in table.encoded} for table in state}
    tables: dict[str, dict[Key, Any]] = {
        each.name: {tuple(key.split("\x1f")): VIEWS[each.name].view(key, row) for key, row in rows[each.name].items()}
        for each in AGGREGATES
    }
    tables["orders"] = {
        tuple(key.split("\x1f")): VIEWS[ORDERS_TABLE].view(key, row) for key, row in rows[ORDERS_TABLE].items()
    }
    tables["revenue"] = {(view["currency"], view["start"]): view for view in tables["revenue"].values()}
    letters = {(0, int(name.partition("-")[2])): letter.state for name, letter in rows[LETTERS_TABLE].items()}
    return Run(tables, letters, rows[OUTCOMES_TABLE], outputs)


def oracle_of(values: Sequence[bytes]) -> Expected:
    """Return what the oracle says."""
    return expect(
        [LogRecord(0, offset, None, value, headers_of(value)) for offset, value in enumerate(values)], "orders", 1
    )


def overtaking(values: Sequence[bytes], chance: Random) -> list[bytes]:
    """Return records some of which have overtaken others by up to 300 places."""
    places = [place + (chance.randrange(300) if chance.random() < 0.2 else 0) for place in range(len(values))]
    return [value for _, value in sorted(zip(places, values, strict=True), key=lambda each: each[0])]


def broken(values: Sequence[bytes], chance: Random) -> list[bytes]:
    """Return records some of which are of an order, but cannot be read: what comes after them is parked."""
    return [
        value.replace(b'"timestamp":"', b'"timestamp":"about ') if chance.random() < 0.01 else value for value in values
    ]


MEND = (b'"timestamp":"about ', b'"timestamp":"')


def acted_on(values: Sequence[bytes], chance: Random) -> list[bytes]:
    """Return records with actions among them: on any records before, letters or not; some are mended."""
    found: list[bytes] = []
    for value in values:
        found.append(value)
        if chance.random() < 0.02:
            broken = [n for n, each in enumerate(found) if MEND[0] in each and not is_action(each)]
            if broken and chance.random() < 0.5:
                place = chance.choice(broken)
                mended = found[place].replace(*MEND)
                found.append(encode_action(Action("redrive", [letter_id(0, place)], "me", "", "group", mended)))
            else:
                places = [chance.randrange(len(found)) for _ in range(chance.choice([1, 5, 50]))]
                places += [chance.choice(broken)] if broken else []
                deed: Deed = "purge" if chance.random() < 0.2 else "redrive"
                found.append(
                    encode_action(Action(deed, [letter_id(0, n) for n in dict.fromkeys(places)], "me", "", "group"))
                )
    return found


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.long) for seed in (3, 4, 5, 6))])
def test_the_pipeline_agrees_with_the_oracle(seed: int) -> None:
    """Rows, letters, causes, counts and the order of updates of 10,000 records; many are broken, late or early."""
    chance = Random(seed)
    values = list(sample_events(10_000, seed, customers=100, invalid=0.1, duplicates=0.05))
    if seed > 1:
        values = broken(overtaking(values, chance), chance)
    if seed > 3:
        values = acted_on(values, chance)
    expected, run = oracle_of(values), handled(values, chance)
    causes = run.causes()
    wrong = {at: (causes[at], found) for at, found in expected.dead_letters.items() if causes[at] != found}
    assert not wrong, [(values[at[1]][:200], found) for at, found in wrong.items()][:10]
    assert causes == expected.dead_letters
    assert run.letters == expected.letters
    assert run.accepted() == [accepted.event_id for accepted in expected.accepted[0]]
    assert run.tables == expected.tables
    assert run.outcomes == expected.outcomes
    kinds = Counter(run.letters.values())
    assert seed == 1 or min(kinds[state] for state in ("dead", "parked", "waiting", "resolved")) > 10, kinds
    assert seed <= 3 or min(kinds["purged"], run.outcomes["redriven"], run.outcomes["action_refused"]) > 0, kinds


def test_an_order_that_is_held_up_parks_so_many_events_and_no_more() -> None:
    """Those beyond are dead letters, and hold nobody up: what is known of an order stays small."""
    (value,) = sample_events(1)
    values = [value.replace(b'"timestamp":"', b'"timestamp":"about ')]
    values += [value.replace(b'"event_id":"', b'"event_id":"%d' % n) for n in range(1_100)]
    expected, run = oracle_of(values), handled(values, Random(1))
    assert Counter(run.letters.values()) == {"dead": 1 + 101, "parked": 999}
    assert run.letters == expected.letters
    assert run.outcomes == expected.outcomes
    assert run.causes() == expected.dead_letters


def test_every_valid_sample_event_is_accepted() -> None:
    """Samples without faults hold nothing that would be refused, and with faults none of those is."""
    assert oracle_of(list(sample_events(5_000))).outcomes == {"accepted": 5_000}
    values = list(sample_events(5_000, invalid=0.02, duplicates=0.02))
    known = set(sample_events(5_000))
    faulty = oracle_of(values)
    assert faulty.outcomes["accepted"] == len(known & set(values))
    assert sum(faulty.outcomes.values()) == 5_000
    assert {values[offset] for _, offset in faulty.letters} == set(values) - known
