"""A record that fails costs only itself, whatever fails and whichever records it came with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from app import pipeline as pipeline_module
from app.delivery import draft as draft_module
from app.delivery.dead_letters import DeadLetters
from app.engine.clock import Clock
from app.engine.state import PartitionState
from app.engine.step import Headers, Output, Record, Step
from app.pipeline import CHUNK, FORWARDED_FROM, OrderPipeline
from app.sources.samples import sample_events
from app.tables import TABLES
from app.topics import HELD_TABLE, LETTERS_TABLE, OUTCOMES_TABLE, partition_of, topics_for
from models.aggregates import AGGREGATES
from models.aggregates.aggregate import Aggregate
from models.events import parse_event
from models.order import Change
from tests.oracle_events import header

TOPICS = topics_for("", "app")


@dataclass
class Sent:
    """A record as a broker delivers it."""

    offset: int
    value: bytes | None
    key: bytes | None = b"k"
    timestamp: int = 0
    timestamp_type: int = 0
    headers: Headers = ()


class StillClock(Clock):
    """Always the same moment."""

    def now(self) -> float:
        """Return it."""
        return 1_800_000_000.0


class Handled:
    """What a step led to."""

    def __init__(self, step: Step) -> None:
        self.step = step

    @property
    def rows(self) -> dict[str, dict[str, bytes]]:
        """The rows of the step, as they are committed."""
        return {table: {key: row for key, row in rows if row is not None} for table, rows in self.step.encoded()}

    @property
    def updates(self) -> list[bytes | None]:
        """The values of the updates."""
        return [output.value for output in self.step.outputs if output.topic == TOPICS.order_updates]

    @property
    def letters(self) -> list[tuple[bytes | None, str]]:
        """Value and cause of each dead letter."""
        return [
            (output.value, header(output.headers, "orderflow-cause").decode())
            for output in self.step.outputs
            if output.topic == TOPICS.dead_letters
        ]


async def handled(values: Iterable[bytes | None], partitions: int = 1, **more: Any) -> Handled:
    """Handle one step of partition 0 over records with these values."""
    pipeline = OrderPipeline(TOPICS, partitions, DeadLetters("dead-letters", "orders", "group", "1"), StillClock())
    records: list[Record] = [Sent(offset, value) for offset, value in enumerate(values)]
    step = Step(0, records, 0, len(records), PartitionState(table.table for table in TABLES), **more)
    await pipeline.handle(step)
    return Handled(step)


def totals(rows: dict[str, dict[str, bytes]]) -> dict[str, dict[str, bytes]]:
    """Rows without letters and the counts of what became of the records."""
    other = {OUTCOMES_TABLE, LETTERS_TABLE, HELD_TABLE}
    return {table: of_table for table, of_table in rows.items() if table not in other}


def failing_contributions(of: Aggregate[Any], event_id: str) -> Aggregate[Any]:
    """An aggregate that has a fault which one event brings out."""

    def contributions(changes: Iterable[Change]) -> Mapping[str, Any]:
        changes = list(changes)
        if any(change.event.event_id == event_id for change in changes):
            raise ZeroDivisionError("a fault of our own")
        return of.contributions(changes)

    return replace(of, contributions=contributions)


def failing_merge(of: Aggregate[Any], event_id: str) -> Aggregate[Any]:
    """The same, but it shows when rows are added."""
    poisoned: set[int] = set()
    kept: list[Any] = []  # so that no other row gets the id of a poisoned one

    def contributions(changes: Iterable[Change]) -> Mapping[str, Any]:
        changes = list(changes)
        rows = of.contributions(changes)
        if any(change.event.event_id == event_id for change in changes):
            kept.extend(rows.values())
            poisoned.update(map(id, rows.values()))
        return rows

    def merge(a: Any, b: Any) -> Any:
        if id(b) in poisoned:
            raise ZeroDivisionError("a fault of our own")
        return of.merge(a, b)

    return replace(of, contributions=contributions, merge=merge)


Break = Callable[[Aggregate[Any], str], Aggregate[Any]]


@pytest.mark.parametrize("failing", [failing_contributions, failing_merge])
@pytest.mark.parametrize("broken", range(len(AGGREGATES)))
async def test_a_fault_of_our_own_costs_one_record(
    monkeypatch: pytest.MonkeyPatch, broken: int, failing: Break
) -> None:
    """It becomes a dead letter; nothing of it is in any row or update, and all the others are as if it had not come."""
    values = list(sample_events(3 * CHUNK, seed=3, customers=10))
    last_of_an_order = next(
        value for value in values[2 * CHUNK :] if parse_event(value).event_type == "order.cancelled"
    )
    event = parse_event(last_of_an_order)
    expected = await handled(value for value in values if value != last_of_an_order)

    aggregates = [*AGGREGATES]
    aggregates[broken] = failing(aggregates[broken], event.event_id)
    monkeypatch.setattr(draft_module, "AGGREGATES", tuple(aggregates))
    run = await handled(values)

    assert run.letters == [(last_of_an_order, "handler_failed")]
    assert totals(run.rows) == totals(expected.rows)
    assert run.updates == expected.updates
    outcomes = {name: orjson.loads(count) for name, count in run.rows[OUTCOMES_TABLE].items()}
    assert outcomes == {"accepted": len(values) - 1, "dead_letter:handler_failed": 1}


async def test_records_together_lead_to_what_they_lead_to_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, outputs and their order do not depend on how many records are worked on at once."""
    values = [*sample_events(1_000, seed=4, customers=10, invalid=0.05, duplicates=0.05), None]
    together = await handled(values)
    monkeypatch.setattr(pipeline_module, "CHUNK", 1)
    alone = await handled(values)
    assert together.rows == alone.rows
    assert together.step.outputs == alone.step.outputs
    assert {cause for _, cause in together.letters} >= {"undecodable", "invalid_event"}


async def test_every_record_comes_to_something_in_its_order() -> None:
    """Accepted events become updates, misplaced ones are forwarded, in the order in which they came."""
    values = list(sample_events(300, seed=5, customers=50))
    run = await handled(values, partitions=3)
    homes = [partition_of(event.customer_id, 3) for event in map(parse_event, values)]
    assert [output.topic for output in run.step.outputs] == [
        TOPICS.orders if home else TOPICS.order_updates for home in homes
    ]
    for offset, (value, home, output) in enumerate(zip(values, homes, run.step.outputs, strict=True)):
        if home:
            assert (output.partition, output.value) == (home, value)
            assert output.headers == [(FORWARDED_FROM, b"orders/0/%d" % offset)]
        else:
            assert output.value is not None
            assert output.value.startswith(b'{"event":' + value)


async def test_a_fault_of_our_own_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Once, with the place of the record."""
    values = list(sample_events(10, seed=3))
    broken = failing_contributions(AGGREGATES[0], parse_event(values[7]).event_id)
    monkeypatch.setattr(draft_module, "AGGREGATES", (broken,))
    await handled(values)
    assert [record.getMessage() for record in caplog.records] == [
        "Partition 0 offset 7: the handler failed",
        "Partition 0, offsets 0 to 9: 1 dead letters (handler_failed 1)",
    ]


async def test_a_broker_that_takes_no_outputs_ends_the_step() -> None:
    """That is no fault of a record: nothing is tried again record by record."""

    def write(outputs: Sequence[Output]) -> None:
        raise ConnectionError("no more")

    with pytest.raises(ConnectionError):
        await handled(sample_events(CHUNK), write=write)
