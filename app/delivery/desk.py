"""The desk where dead letters lie: what becomes of an event that is not accepted, and of those that come after it.

An order has a queue of letters. Its head is the one whose outcome is undecided; what comes for the order meanwhile is
parked behind it, in order, and follows once the head is decided. Events that came too early wait beside the queue, and
are tried with every accepted event of their order. Which letters an order has is a row, as the letters are: all of it
moves with the step, and nothing is remembered elsewhere.
"""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from app.delivery.actions import asked_at
from app.delivery.dead_letters import NAMES, DeadLetters, Failure, failure_of_event, names_of
from app.delivery.draft import Draft, SourceRecord
from app.delivery.fault import Fault, Transient
from app.delivery.queues import leave, order_key_of, place
from app.delivery.selecting import is_id, place_of
from app.engine.clock import Clock
from app.engine.step import Output, Record
from app.topics import partition_of
from models.errors import EventError
from models.events import Event, read_event
from models.letters import DEAD_LETTER, Deed, Letter, State, letter_id
from models.order import DUPLICATE, Change, Order, apply, may_come_later, order_key
from models.retry import RetryPolicy

MAX_WAITING = 100
"""Most early events of an order that wait for it; one more is refused for good."""

MAX_QUEUE = 1_000
"""Most letters in an order's queue; one more is dead."""

LARGEST_MOVE = 8 << 20
"""Most bytes of a letter's row that go to another partition: topics take records of 16 MB."""

LONGEST_TIME = 2**63
LATEST = 4e9
"""Of a letter that comes as a record: what fits into a header, and what a calendar has."""

AT_ONCE = 0.0
"""When a letter is due that is to be tried at once."""

EARLY = frozenset({"unknown_order", "illegal_transition"})

LETTER_HEADER = "orderflow-letter"
"""Header of a letter's record that was sent on to the partition of its customer: the letter, as a row."""

Accept = Callable[[Draft, str, bytes, Change], None]
"""Takes an accepted event's order key, its JSON and its change into a draft."""


class Desk:
    """Handles the letters of all partitions of one application."""

    def __init__(
        self,
        dead_letters: DeadLetters,
        partitions: int,
        policy: RetryPolicy,
        keep_seconds: float,
        accept: Accept,
        clock: Clock,
    ) -> None:
        self._dead_letters = dead_letters
        self._partitions = partitions
        self._policy = policy
        self._keep_seconds = keep_seconds
        self._accept = accept
        self._clock = clock

    @property
    def app_id(self) -> str:
        """The application whose letters these are."""
        return self._dead_letters.group

    # --- what arrives -------------------------------------------------------------------------------------------------

    def arrive(self, draft: Draft, record: Record, fault: Fault, *, early: bool = False) -> None:
        """Make the letter of a record that failed as it came. Its order, if it has one, has no queue."""
        failure = fault.failure if isinstance(fault, Transient) else fault
        name = letter_id(draft.step.partition, record.offset)
        self._fail(draft, name, _letter_of(record, failure, self._clock.now()), fault, early=early)

    def park(self, draft: Draft, record: Record, head: str, names: Event | EventError) -> None:
        """Let a record wait behind the head of its order's queue, untried."""
        failure = Failure("parked", f"behind letter {head} of the same order", *names_of(names))
        name = letter_id(draft.step.partition, record.offset)
        self._park(draft, name, _letter_of(record, failure, self._clock.now()), head)

    def receive(self, draft: Draft, row: bytes) -> None:
        """Take in a letter that another partition has sent on; it is tried at once.

        One of another application is not ours to take. Raises ValueError for what no application of ours has written.
        """
        app_id, name, letter = _MOVED.decode(row)
        if app_id == self.app_id:
            self._check(name, letter)
            place(draft, name, letter, self._clock.now())

    def _check(self, name: str, letter: Letter) -> None:
        times = (letter.first_failed_at, letter.last_failed_at, *(entry.at for entry in letter.history))
        if not (
            is_id(name)
            and place_of(name)[0] < self._partitions
            and letter.state == "retrying"
            and letter.due_at == AT_ONCE
            and abs(letter.timestamp) < LONGEST_TIME
            and all(0 <= at < LATEST for at in times)
        ):
            raise ValueError(f"{name!r} is no letter that one of our partitions has sent on")

    @staticmethod
    def is_early(order: Order | None, event: Event, error: EventError) -> bool:
        """Whether an order refuses an event for now only: it could come after others."""
        return error.cause in EARLY and may_come_later(order, event.event_type)

    def is_waiting(self, draft: Draft, key: str, event_id: str) -> bool:
        """Whether an event of that id waits for the order: a duplicate of it is that letter's business."""
        return any(draft.known_letter(name).event_id == event_id for name in draft.held_order(key).waiting)

    # --- one letter ---------------------------------------------------------------------------------------------------

    def attempt(self, draft: Draft, name: str, fault: Fault | None = None, *, waited: bool = False) -> str | None:
        """Try a letter's event on its order as it stands; `fault` is what a check before has found.

        Returns the key of the order if it has accepted the event. A letter that has `waited` came before those that are
        in its order's queue; any other must be the head there.
        """
        letter = draft.known_letter(name)
        event = event_of(letter)
        if isinstance(event, EventError):  # its order stays held up, though this may name another one, or none
            self._fail(draft, name, letter, failure_of_event(event))
            return None
        letter = replace(letter, **dict(zip(NAMES, names_of(event), strict=True)))
        home = partition_of(event.customer_id, self._partitions)
        if home != draft.step.partition:
            self._send_on(draft, name, letter, home)
            return None
        key = order_key(event.customer_id, event.order_id)
        queue = draft.held_order(key).queue
        if queue and queue[0] != name and not waited:  # a mended letter has come to another order
            self._park(draft, name, letter, queue[0])
            return None
        if fault is not None:
            self._fail(draft, name, letter, fault)
            return None
        return key if self._apply(draft, name, letter, event, key) else None

    def _apply(self, draft: Draft, name: str, letter: Letter, event: Event, key: str) -> bool:
        """Apply a letter's event to its order as it stands; returns whether it was accepted."""
        order = draft.order(key)
        try:
            change = apply(order, event)
        except EventError as error:
            early = self.is_early(order, event, error)
            self._fail(draft, name, letter, failure_of_event(error), early=early)
            return False
        if change is DUPLICATE:
            self._close(draft, name, letter, "resolved", "duplicate")
            draft.outcomes.append(("duplicate", letter.event_type))
            return False
        value = letter.value_now
        assert value is not None
        self._close(draft, name, letter, "resolved", "accepted")
        self._accept(draft, key, value, change)
        return True

    def fail(self, draft: Draft, name: str, failure: Failure) -> None:
        """Let a letter fail because our own code did."""
        self._fail(draft, name, draft.known_letter(name), failure)

    def redrive(self, draft: Draft, name: str, by: str, at: str, mended: bytes | None = None) -> bool:
        """Let a letter be tried again at once, with another value if one is given; returns whether it can be.

        One that is closed cannot, nor one that is parked: that depends on the head of its queue.
        """
        letter = draft.letter(name)
        if letter is None or not letter.open or letter.state == "parked":
            return False
        now = self._clock.now()
        if mended is not None:
            letter = letter.noted(now, "mended", by, mended=mended)
        letter = letter.noted(now, "redriven", by, asked_at(at), redrives=letter.redrives + 1)
        draft.outcomes.append(("redriven", letter.event_type))
        place(draft, name, replace(letter, state="retrying", failures=0, round_began=now, due_at=AT_ONCE), now)
        return True

    def purge(self, draft: Draft, name: str, by: str, at: str = "") -> bool:
        """Close a letter for good; returns whether it was open."""
        letter = draft.letter(name)
        if letter is None or not letter.open:
            return False
        self._close(draft, name, letter, "purged", "purged", by, asked_at(at) if at else "")
        draft.outcomes.append(("purged", letter.event_type))
        return True

    def head_of(self, draft: Draft, name: str) -> str:
        """Return the letter that a letter waits for, if it is parked; else itself."""
        letter = draft.known_letter(name)
        key = order_key_of(letter)
        return draft.held_order(key).queue[0] if letter.state == "parked" and key is not None else name

    def evict(self, draft: Draft, name: str, by: str) -> None:
        """Close a letter because there is no room. The topic of dead letters has it, or gets it now."""
        letter = draft.known_letter(name)
        if letter.state != "dead":
            failure = Failure(letter.cause, letter.error, *names_of(letter))
            draft.outputs.append(self._for_the_topic(name, letter, failure))
            draft.outcomes.append((DEAD_LETTER + letter.cause, letter.event_type))
        self.purge(draft, name, by)

    # --- states -------------------------------------------------------------------------------------------------------

    def _fail(self, draft: Draft, name: str, letter: Letter, fault: Fault, *, early: bool = False) -> None:
        """Note a failure of a letter, and decide what it is now: waiting, to be tried again, or dead."""
        now = self._clock.now()
        failure = fault.failure if isinstance(fault, Transient) else fault
        if early and letter.state == "waiting":
            return  # as before
        tried = not isinstance(fault, Transient) or fault.tried
        letter = replace(
            letter,
            cause=failure.cause,
            error=failure.message,
            last_failed_at=now,
            attempts=letter.attempts + tried,
            failures=letter.failures + tried,
            round_began=letter.round_began or now,
            stack=failure.stacktrace,
            due_at=None,
        )
        pause = None
        if isinstance(fault, Transient):
            drawn, waited = self._clock.uniform(0.0, 1.0), now - letter.round_began
            pause = self._policy.pause(letter.failures, waited, fault.retry_after, drawn, tried=tried)
        if pause is not None:
            detail = f"{failure.message}; again in {pause:.1f} s"
            letter = letter.noted(now, "retrying", detail=detail, state="retrying", due_at=now + pause)
            draft.outcomes.append(("retrying", letter.event_type))
        elif early and self._has_room(draft, letter):
            letter = letter.noted(now, "waiting", detail=failure.message, state="waiting")
            draft.outcomes.append(("waiting", letter.event_type))
        else:
            detail = failure.message
            if isinstance(fault, Transient):
                detail += f"; given up after {letter.failures} tries in {now - letter.round_began:.0f} s"
                if fault.retry_after is not None:
                    detail += f", as {fault.retry_after:.0f} s more are asked for"
            letter = letter.noted(now, "failed", detail=detail, state="dead")
            draft.outcomes.append((DEAD_LETTER + failure.cause, letter.event_type))
            draft.outputs.append(self._for_the_topic(name, letter, failure))
        place(draft, name, letter, now)

    def _park(self, draft: Draft, name: str, letter: Letter, head: str) -> None:
        """Put a letter behind the head of its order's queue; where there is no room, it is dead."""
        if len(draft.held_order(str(order_key_of(letter))).queue) >= MAX_QUEUE:
            text = f"{MAX_QUEUE:,} letters of the same order are in its queue, letter {head} at its head"
            self._fail(draft, name, letter, Failure("too_many_parked", text, *names_of(letter)))
            return
        now = self._clock.now()
        place(draft, name, letter.noted(now, "parked", detail=head, state="parked", due_at=None), now)
        draft.outcomes.append(("parked", letter.event_type))

    def _has_room(self, draft: Draft, letter: Letter) -> bool:
        key = order_key_of(letter)
        return key is not None and len(draft.held_order(key).waiting) < MAX_WAITING

    def _close(
        self, draft: Draft, name: str, letter: Letter, state: State, deed: Deed, by: str = "", detail: str = ""
    ) -> None:
        now = self._clock.now()
        closed = letter.noted(now, deed, by, detail, state=state, closed_at=now, due_at=now + self._keep_seconds)
        place(draft, name, closed, now)

    def _send_on(self, draft: Draft, name: str, letter: Letter, home: int) -> None:
        """Send a letter to the partition of its customer, where it is tried at once. Its row here is deleted."""
        row = _MOVING.encode((self.app_id, name, replace(letter, state="retrying", due_at=AT_ONCE, home=home)))
        if len(row) > LARGEST_MOVE:
            text = f"the mended event is one of partition {home}, and the record of {len(letter.value or b'')} bytes"
            self._fail(
                draft, name, letter, Failure("invalid_event", f"{text} is too large to go there", *names_of(letter))
            )
            return
        leave(draft, name)
        draft.letters[name] = None
        record = (LETTER_HEADER, row)
        topic = self._dead_letters.source
        draft.outputs.append(Output(topic, home, (letter.customer_id or "").encode(), letter.value_now, [record]))
        draft.outcomes.append(("forwarded", letter.event_type))

    def _for_the_topic(self, name: str, letter: Letter, failure: Failure) -> Output:
        partition, offset = place_of(name)
        where = letter.timestamp, letter.timestamp_type
        record = SourceRecord(offset, letter.key, letter.value, letter.headers, *where)
        return self._dead_letters.letter(record, partition, failure, letter.first_failed_at)


_MOVING = msgspec.json.Encoder()
_MOVED = msgspec.json.Decoder(tuple[str, str, Letter])


def event_of(letter: Letter) -> Event | EventError:
    """Return the event that a letter would be now."""
    return read_event(letter.value_now)


def _letter_of(record: Record, failure: Failure, now: float) -> Letter:
    return Letter(
        "dead",
        failure.cause,
        failure.message,
        failure.event_type,
        failure.event_id,
        failure.order_id,
        failure.customer_id,
        record.key,
        record.value,
        tuple((name, None if value is None else bytes(value)) for name, value in record.headers),
        int(record.timestamp or 0),
        record.timestamp_type,
        first_failed_at=now,
        last_failed_at=now,
        attempts=0,
    )
