"""What a step does to orders: validate, send on what is misplaced, decide, fold, and make dead letters of the rest.

One bad record never spoils its batch: whatever happens to it, the others go on, and nothing of it is half done.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from app.delivery.actions import ACTION_HEADER, read_action
from app.delivery.checks import Checks
from app.delivery.dead_letters import DeadLetters, Failure, failure_of, failure_of_event
from app.delivery.desk import LETTER_HEADER, Desk
from app.delivery.draft import Draft, Outcome
from app.delivery.fault import Fault
from app.delivery.follow_up import FollowUp, Work
from app.delivery.queues import order_key_of
from app.engine.clock import Clock
from app.engine.step import Output, Record, Step
from app.order_updates import OrderUpdates
from app.topics import HELD_TABLE, ORDERS_TABLE, OUTCOMES_TABLE, Topics, partition_of
from models.columns import parse_events
from models.errors import EventError
from models.events import Event
from models.letters import DEAD_LETTER, HeldOrder
from models.order import DUPLICATE, Change, Order, apply, has_accepted, order_key
from models.retry import RetryPolicy

log = logging.getLogger(__name__)

CHUNK = 500
"""Records validated and folded at once: about 10 ms, for which heartbeats, readers and other lanes wait."""

KEEP_SECONDS = 7 * 86_400.0
"""How long letters are kept after they were closed."""

LETTER_BYTES = 128 << 20
"""What the letters of a partition may take together."""

RETRY = RetryPolicy()

NO_FAULTS: Sequence[Fault | None] = ()

FORWARDED_FROM = "orderflow-forwarded-from"
"""Header of a record that was sent on to the partition of its customer: `topic/partition/offset` it came from."""

T = TypeVar("T")


class OrderPipeline:
    """Handles the steps of all partitions of one application with `partitions` partitions."""

    def __init__(
        self,
        topics: Topics,
        partitions: int,
        dead_letters: DeadLetters,
        clock: Clock,
        policy: RetryPolicy = RETRY,
        keep_seconds: float = KEEP_SECONDS,
        most_letter_bytes: int = LETTER_BYTES,
        checks: Checks | None = None,
    ) -> None:
        self._topics = topics
        self._partitions = partitions
        self._clock = clock
        self._checks = checks
        self._updates = OrderUpdates()
        self._desk = Desk(dead_letters, partitions, policy, keep_seconds, self._accept, clock)
        self._follow_up = FollowUp(self._desk, checks, most_letter_bytes)

    async def handle(self, step: Step) -> None:
        """Work through a step's records in order, then through what is due."""
        work = Work(step, self._clock.now())
        for start in range(0, len(step.records), CHUNK):
            await step.turn()
            records = step.records[start : start + CHUNK]
            events = parse_events([record.value for record in records])
            faults = NO_FAULTS if self._checks is None else await self._checked(work, events, self._checks)
            await self._take(work, records, events, faults)
        self._follow_up.make_room(work)
        work.find_due()
        await self._follow_up.try_due(work)
        if work.outcomes:
            _count(step, work.outcomes)

    # --- records ------------------------------------------------------------------------------------------------------

    async def _checked(self, work: Work, events: Sequence[Event | EventError], checks: Checks) -> list[Fault | None]:
        """Return what a team's check has against each event that may be applied here."""
        step, draft = work.step, Draft(work.step)

        def wanted(event: Event | EventError) -> Event | None:
            if isinstance(event, EventError) or partition_of(event.customer_id, self._partitions) != step.partition:
                return None
            key = order_key(event.customer_id, event.order_id)
            order = draft.order(key)
            return None if order is not None and has_accepted(order, event.event_id) else event

        return await checks.faults([wanted(event) for event in events], work.failures)

    async def _take(
        self,
        work: Work,
        records: Sequence[Record],
        events: Sequence[Event | EventError],
        faults: Sequence[Fault | None],
    ) -> None:
        """Take records in order; in one draft as far as that goes."""
        done = 0
        while done < len(records):
            draft = Draft(work.step)
            try:
                stop, order = self._decide(draft, records, events, faults, done)
                work.put(draft)
            except Exception as error:  # the one guard: a fault of our own must cost one record, not the stream
                if done + 1 < len(records) and len(records) > 1:
                    for place in range(done, len(records)):
                        one = slice(place, place + 1)
                        await self._take(work, records[one], events[one], faults[one])
                    return
                record, event = records[done], events[done]
                log.exception("Partition %d offset %d: the handler failed", work.step.partition, record.offset)
                draft = Draft(work.step)
                key = order_key_of(event)
                queue = draft.held_order(key).queue if key is not None else ()
                if queue:
                    self._desk.park(draft, record, queue[0], event)
                else:
                    self._desk.arrive(draft, record, failure_of(error, event))
                work.put(draft)
                return
            if order is not None:
                self._follow_up.let_waiting_follow(work, order)
            if work.due:
                await self._follow_up.try_due(work)
            done = stop

    def _decide(
        self,
        draft: Draft,
        records: Sequence[Record],
        events: Sequence[Event | EventError],
        faults: Sequence[Fault | None],
        start: int,
    ) -> tuple[int, str | None]:
        """Decide on records from `start` on, up to one from which more follows before the next record is taken.

        Returns where the next one is, and the key of an order whose waiting events follow now. Something else that
        follows, as from an action, is among what is due once the draft is put.
        """
        step, desk = draft.step, self._desk
        partition, orders, held = step.partition, step.table(ORDERS_TABLE), step.table(HELD_TABLE)
        rows = draft.orders
        for place in range(start, len(records)):
            record, event = records[place], events[place]
            if record.headers and self._is_ours(draft, record):
                return place + 1, None
            customer_id = event.customer_id
            if customer_id is not None:
                home = partition_of(customer_id, self._partitions)
                if home != partition:
                    draft.outputs.append(self._forwarded(record, partition, home))
                    draft.outcomes.append(("forwarded", event.event_type))
                    continue
            key = order_key_of(event)
            concerned: HeldOrder | None = None if key is None else draft.held.get(key) or held.get(key)
            if concerned is not None and concerned.queue:
                desk.park(draft, record, concerned.queue[0], event)
                continue
            if isinstance(event, EventError):
                desk.arrive(draft, record, failure_of_event(event))
                continue
            assert key is not None
            if concerned is not None and concerned.waiting and desk.is_waiting(draft, key, event.event_id):
                draft.outcomes.append(("duplicate", event.event_type))
                continue
            if faults and (fault := faults[place]) is not None:
                desk.arrive(draft, record, fault)
                continue
            accepted = self._apply(draft, record, event, key, rows.get(key) or orders.get(key))
            if accepted and concerned is not None and concerned.waiting:
                return place + 1, key
        return len(records), None

    def _apply(self, draft: Draft, record: Record, event: Event, key: str, order: Order | None) -> bool:
        """Apply an event to its order as it stands; returns whether it was accepted."""
        try:
            change = apply(order, event)
        except EventError as error:
            early = self._desk.is_early(order, event, error)
            self._desk.arrive(draft, record, failure_of_event(error), early=early)
            return False
        if change is DUPLICATE:
            draft.outcomes.append(("duplicate", event.event_type))
            return False
        assert record.value is not None
        self._accept(draft, key, record.value, change)
        return True

    def _is_ours(self, draft: Draft, record: Record) -> bool:
        """Take a record that is no order's event: a letter sent on by another partition, or an action on letters."""
        for name, value in record.headers:
            if name == LETTER_HEADER:
                self._desk.receive(draft, value or b"")
                return True
            if name == ACTION_HEADER:
                self._act(draft, record)
                return True
        return False

    def _act(self, draft: Draft, record: Record) -> None:
        action = read_action(record.value)
        if action is None:
            text = f"it has the header {ACTION_HEADER}, but is no action on letters"
            self._desk.arrive(draft, record, Failure("invalid_event", text))
            return
        if action.app != self._desk.app_id:
            return  # on letters of another application that reads the same topic
        for name in action.letters:
            if action.deed == "purge":
                done = self._desk.purge(draft, name, action.by, action.at)
            else:
                done = self._desk.redrive(draft, name, action.by, action.at, action.value)
            if not done:
                draft.outcomes.append(("action_refused", None))

    def _accept(self, draft: Draft, key: str, value: bytes, change: Change) -> None:
        draft.orders[key] = change.after
        draft.changes.append(change)
        event = change.event
        headers: list[tuple[str, bytes | None]] = [("event_id", event.event_id.encode())]
        update = self._updates.render(key, value, change)
        topic = self._topics.order_updates
        draft.outputs.append(Output(topic, draft.step.partition, event.customer_id.encode(), update, headers))
        draft.outcomes.append(("accepted", event.event_type))

    def _forwarded(self, record: Record, partition: int, home: int) -> Output:
        origin = f"{self._topics.orders}/{partition}/{record.offset}".encode()
        headers = [*record.headers, (FORWARDED_FROM, origin)]
        return Output(self._topics.orders, home, record.key, record.value, headers, record.timestamp)


def _count(step: Step, outcomes: Counter[Outcome]) -> None:
    """Add what became of the step's events to what is counted since the beginning."""
    step.counts = {(outcome, event_type or ""): count for (outcome, event_type), count in outcomes.items()}
    by_outcome: Counter[str] = Counter()
    for (outcome, _), count in outcomes.items():
        by_outcome[outcome] += count
    rows = step.table(OUTCOMES_TABLE)
    for outcome, count in by_outcome.items():
        rows.put(outcome, (rows.get(outcome) or 0) + count)
    _tell_of_letters(step, by_outcome)


def _tell_of_letters(step: Step, outcomes: Counter[str]) -> None:
    """Log one line per step that has dead letters: a flood of them must not become one of lines."""
    letters = {
        name.removeprefix(DEAD_LETTER): n for name, n in sorted(outcomes.items()) if name.startswith(DEAD_LETTER)
    }
    if letters:
        first, last = step.first_offset, step.next_offset - 1
        log.warning(
            "Partition %d, %s: %d dead letters (%s)",
            step.partition,
            f"offsets {first} to {last}" if step.records else "of before",
            sum(letters.values()),
            ", ".join(f"{cause} {count}" for cause, count in letters.items()),
        )
