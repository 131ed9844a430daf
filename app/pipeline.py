"""What a step does to orders: validate, send on what is misplaced, decide, fold, and make dead letters of the rest.

One bad record never spoils its batch: whatever happens to it, the others go on, and nothing of it is half done.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from app.delivery.dead_letters import DeadLetters, Failure, failure_of
from app.engine.clock import Clock
from app.engine.step import Output, Record, Step
from app.order_updates import OrderUpdates
from app.topics import OUTCOMES_TABLE, Topics, partition_of
from models.aggregates import AGGREGATES
from models.aggregates.aggregate import Aggregate
from models.columns import parse_events
from models.errors import EventError
from models.events import Event
from models.order import DUPLICATE, Change, Order, apply, order_key

log = logging.getLogger(__name__)

ORDERS_TABLE = "orders"

DEAD_LETTER = "dead_letter:"
"""What the names of outcomes begin with that are causes of dead letters."""

CHUNK = 500
"""Records validated and folded at once: about 10 ms, for which heartbeats, readers and other lanes wait."""

FORWARDED_FROM = "orderflow-forwarded-from"
"""Header of a record that was sent on to the partition of its customer: `topic/partition/offset` it came from."""


class _Decided(NamedTuple):
    """What records lead to: the orders' rows, their changes, what is to be sent, and what became of each record."""

    orders: dict[str, Order]
    changes: list[Change]
    outputs: list[Output]
    outcomes: list[str]


class OrderPipeline:
    """Handles the steps of all partitions of one application with `partitions` partitions."""

    def __init__(self, topics: Topics, partitions: int, dead_letters: DeadLetters, clock: Clock) -> None:
        self._topics = topics
        self._partitions = partitions
        self._dead_letters = dead_letters
        self._clock = clock
        self._updates = OrderUpdates()

    async def handle(self, step: Step) -> None:
        """Work through a step's records in order."""
        outcomes: Counter[str] = Counter()
        for start in range(0, len(step.records), CHUNK):
            await step.turn()
            records = step.records[start : start + CHUNK]
            self._put(step, records, parse_events([record.value for record in records]), outcomes)
        _tell_of_letters(step, outcomes)
        counts = step.table(OUTCOMES_TABLE)
        for outcome, count in outcomes.items():
            counts.put(outcome, (counts.get(outcome) or 0) + count)

    def _put(
        self, step: Step, records: Sequence[Record], events: Sequence[Event | EventError], outcomes: Counter[str]
    ) -> None:
        """Put what records lead to into the step: all of it, once nothing of it can fail any more."""
        try:
            decided = self._decide(step, records, events)
            totals = [(step.table(each.name), _folded(each, step, decided.changes)) for each in AGGREGATES]
        except Exception as error:  # the one guard: a fault of our own must cost one record, not the stream
            if len(records) > 1:
                for record, event in zip(records, events, strict=True):
                    self._put(step, [record], [event], outcomes)
                return
            log.exception("Partition %d offset %d: the handler failed", step.partition, records[0].offset)
            decided, totals = self._failed(step, records[0], failure_of(error, events[0])), []
        step.table(ORDERS_TABLE).update(decided.orders)
        for table, rows in totals:
            table.update(rows)
        step.send_all(decided.outputs)
        outcomes.update(decided.outcomes)

    def _failed(self, step: Step, record: Record, failure: Failure) -> _Decided:
        return _Decided({}, [], [self._letter(record, step.partition, failure)], [_outcome(failure)])

    def _decide(self, step: Step, records: Sequence[Record], events: Sequence[Event | EventError]) -> _Decided:
        """Return what records lead to, changing nothing yet."""
        partition, orders = step.partition, step.table(ORDERS_TABLE)
        rows: dict[str, Order] = {}
        changes: list[Change] = []
        outputs: list[Output] = []
        outcomes: list[str] = []
        for record, event in zip(records, events, strict=True):
            try:
                if isinstance(event, EventError):
                    raise event
                customer_id = event.customer_id
                home = partition_of(customer_id, self._partitions)
                if home != partition:
                    outputs.append(self._forwarded(record, partition, home))
                    outcomes.append("forwarded")
                    continue
                key = order_key(customer_id, event.order_id)
                change = apply(rows.get(key) or orders.get(key), event)
            except EventError as error:
                failure = _failure(error)
                outputs.append(self._letter(record, partition, failure))
                outcomes.append(_outcome(failure))
                continue
            if change is DUPLICATE:
                outcomes.append("duplicate")
                continue
            rows[key] = change.after
            changes.append(change)
            outputs.append(self._update(record, partition, key, change))
            outcomes.append("accepted")
        return _Decided(rows, changes, outputs, outcomes)

    def _update(self, record: Record, partition: int, key: str, change: Change) -> Output:
        assert record.value is not None
        value = self._updates.render(key, record.value, change)
        event = change.event
        headers: list[tuple[str, bytes | None]] = [("event_id", event.event_id.encode())]
        return Output(self._topics.order_updates, partition, event.customer_id.encode(), value, headers)

    def _forwarded(self, record: Record, partition: int, home: int) -> Output:
        origin = f"{self._topics.orders}/{partition}/{record.offset}".encode()
        headers = [*record.headers, (FORWARDED_FROM, origin)]
        return Output(self._topics.orders, home, record.key, record.value, headers, record.timestamp)

    def _letter(self, record: Record, partition: int, failure: Failure) -> Output:
        return self._dead_letters.letter(record, partition, failure, self._clock.now())


def _folded(aggregate: Aggregate[Any], step: Step, changes: Sequence[Change]) -> dict[str, Any]:
    """Return the rows of an aggregate that changes of orders lead to."""
    table, rows = step.table(aggregate.name), {}
    for key, added in aggregate.contributions(changes).items():
        row = table.get(key)
        rows[key] = added if row is None else aggregate.merge(row, added)
    return rows


def _failure(error: EventError) -> Failure:
    return Failure(error.cause, error.message, error.event_type, error.event_id, error.order_id, error.customer_id)


def _outcome(failure: Failure) -> str:
    return f"{DEAD_LETTER}{failure.cause}"


def _tell_of_letters(step: Step, outcomes: Counter[str]) -> None:
    """Log one line per step that has dead letters: a flood of them must not become one of lines."""
    letters = {
        name.removeprefix(DEAD_LETTER): n for name, n in sorted(outcomes.items()) if name.startswith(DEAD_LETTER)
    }
    if letters:
        log.warning(
            "Partition %d, offsets %d to %d: %d dead letters (%s)",
            step.partition,
            step.first_offset,
            step.next_offset - 1,
            sum(letters.values()),
            ", ".join(f"{cause} {count}" for cause, count in letters.items()),
        )
