"""What a step does to orders: validate, send on what is misplaced, decide, fold, and make dead letters of the rest.

One bad record never spoils its batch: whatever happens to it, the others go on, and nothing of it is half done.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from app.delivery.dead_letters import DeadLetters, Failure, failure_of
from app.engine.clock import Clock
from app.engine.step import Changes, Output, Record, Step
from app.order_updates import OrderUpdates
from app.topics import OUTCOMES_TABLE, Topics, partition_of
from models.aggregates import AGGREGATES
from models.columns import parse_events
from models.errors import EventError
from models.events import Event
from models.order import DUPLICATE, Change, apply, order_key

log = logging.getLogger(__name__)

ORDERS_TABLE = "orders"

CHUNK = 500
"""Records validated and folded at once; between chunks other lanes, heartbeats and readers get their turn."""

FORWARDED_FROM = "orderflow-forwarded-from"
"""Header of a record that was sent on to the partition of its customer: `topic/partition/offset` it came from."""

_Fold = tuple[Callable[[Change], Iterable[tuple[str, Any]]], Callable[[Any, Any], Any], Changes]


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
        records = step.records
        for start in range(0, len(records), CHUNK):
            self._handle_chunk(step, records[start : start + CHUNK], outcomes)
            await asyncio.sleep(0)
        counts = step.table(OUTCOMES_TABLE)
        for outcome, count in outcomes.items():
            counts.put(outcome, (counts.get(outcome) or 0) + count)

    def _handle_chunk(self, step: Step, records: Sequence[Record], outcomes: Counter[str]) -> None:
        partition = step.partition
        orders = step.table(ORDERS_TABLE)
        folds = [(fold.contributions, fold.merge, step.table(fold.name)) for fold in AGGREGATES]
        for record, event in zip(records, parse_events([record.value for record in records]), strict=True):
            if isinstance(event, EventError):
                self._bury(step, record, _failure(event), outcomes)
                continue
            home = partition_of(event.customer_id, self._partitions)
            if home != partition:
                step.send(self._forwarded(record, partition, home))
                outcomes["forwarded"] += 1
                continue
            try:
                changed = self._decide(record, event, partition, orders, folds)
            except EventError as refusal:
                self._bury(step, record, _failure(refusal, event), outcomes)
            except Exception as error:  # the one guard: a fault of our own must cost one record, not the stream
                log.exception("Partition %d offset %d: the handler failed", partition, record.offset)
                self._bury(step, record, failure_of(error, event), outcomes)
            else:
                if changed is None:
                    outcomes["duplicate"] += 1
                    continue
                output, rows = changed
                for table, key, row in rows:
                    table.put(key, row)
                step.send(output)
                outcomes["accepted"] += 1

    def _decide(
        self, record: Record, event: Event, partition: int, orders: Changes, folds: Sequence[_Fold]
    ) -> tuple[Output, list[tuple[Changes, str, object]]] | None:
        """Return what an event leads to, changing nothing yet; None for a duplicate. Raises `EventError`."""
        key = order_key(event.customer_id, event.order_id)
        change = apply(orders.get(key), event)
        if change is DUPLICATE:
            return None
        assert isinstance(change, Change)
        rows: list[tuple[Changes, str, object]] = [(orders, key, change.after)]
        for contributions, merge, table in folds:
            for row_key, delta in contributions(change):
                row = table.get(row_key)
                rows.append((table, row_key, delta if row is None else merge(row, delta)))
        assert record.value is not None
        value = self._updates.render(key, record.value, change)
        headers = [("event_id", event.event_id.encode())]
        return Output(self._topics.order_updates, partition, event.customer_id.encode(), value, headers), rows

    def _forwarded(self, record: Record, partition: int, home: int) -> Output:
        origin = f"{self._topics.orders}/{partition}/{record.offset}".encode()
        headers = [*record.headers, (FORWARDED_FROM, origin)]
        return Output(self._topics.orders, home, record.key, record.value, headers, record.timestamp)

    def _bury(self, step: Step, record: Record, failure: Failure, outcomes: Counter[str]) -> None:
        step.send(self._dead_letters.letter(record, step.partition, failure, self._clock.now()))
        outcomes[f"dead_letter:{failure.cause}"] += 1


def _failure(error: EventError, event: Event | None = None) -> Failure:
    source = error if event is None else event
    return Failure(error.cause, error.message, source.event_type, source.event_id, source.order_id, source.customer_id)
