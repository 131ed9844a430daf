"""What follows the records of a step: early events that fit now, letters that are due, and room for more of them.

Each letter is handled by itself: if it fails, it is that letter which has failed, and not the step.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from app.delivery.checks import Checks, Failures
from app.delivery.dead_letters import failure_of
from app.delivery.desk import Desk, event_of
from app.delivery.draft import Draft, Outcome
from app.delivery.fault import Fault
from app.engine.step import Step
from app.engine.table import encode_row
from app.topics import HELD_TABLE, LETTERS_TABLE
from models.errors import EventError
from models.letters import HeldOrder, Letter

log = logging.getLogger(__name__)

MAKE_ROOM_AT_ONCE = 8_000
"""Letters that are looked at in one step to delete some: twice as many as it can add."""

TRIED_BETWEEN_TURNS = 500
"""Letters tried at a time, as many as records are handled at a time: readers and other lanes wait for them."""

DUE_AT_ONCE = 1_000
"""Letters that are tried in one step besides its records; the next step goes on."""

FOUND_AT_ONCE = 4_000
"""Letters that are found to be due in one step: most of them closed ones, which are deleted then."""

T = TypeVar("T")


class Work:
    """What there is to do in a step, and what came of it."""

    def __init__(self, step: Step, now: float) -> None:
        self.step = step
        self.outcomes: Counter[Outcome] = Counter()
        self.due: deque[tuple[str, str]] = deque()
        self.tries_left = DUE_AT_ONCE
        self.failures = Failures()
        self._now = now

    def put(self, draft: Draft) -> None:
        """Put a draft into the step, and remember what is due because of it."""
        draft.put()
        self.outcomes.update(draft.outcomes)
        for name, letter in draft.letters.items():
            if letter is not None and letter.due_at is not None and letter.due_at <= self._now:
                self.due.append((LETTERS_TABLE, name))
        for key, held in draft.held.items():
            if held.following:
                self.due.append((HELD_TABLE, key))

    def find_due(self) -> None:
        """Add what became due since the last steps."""
        for table in (LETTERS_TABLE, HELD_TABLE):
            self.due.extend((table, key) for key in self.step.table(table).due(self._now, FOUND_AT_ONCE))

    def held(self, key: str) -> HeldOrder:
        """Return which letters concern an order."""
        return Draft(self.step).held_order(key)

    def letter(self, name: str) -> Letter:
        """Return a letter that must be there."""
        return Draft(self.step).known_letter(name)

    def take_due(self, most: int) -> list[str]:
        """Return letters that are to be tried now, each once; those that were closed long enough are deleted."""
        names: dict[str, None] = {}
        while self.due and len(names) < most and self.tries_left > 0:
            table, key = self.due.popleft()
            name = self._letter_due(key) if table == LETTERS_TABLE else self._follower(key)
            if name is not None:
                names[name] = None
                self.tries_left -= 1
        return list(names)

    def _letter_due(self, name: str) -> str | None:
        letters = self.step.table(LETTERS_TABLE)
        letter: Letter | None = letters.get(name)
        if letter is None or letter.due_at is None or letter.due_at > self._now:
            return None
        if not letter.open:
            letters.delete(name)
            return None
        return name

    def _follower(self, key: str) -> str | None:
        held = self.held(key)
        return held.queue[0] if held.following and held.queue else None


class FollowUp:
    """Does what follows in the steps of all partitions of one application."""

    def __init__(self, desk: Desk, checks: Checks | None, most_letter_bytes: int) -> None:
        self._desk = desk
        self._checks = checks
        self._most_letter_bytes = most_letter_bytes

    def let_waiting_follow(self, work: Work, key: str) -> None:
        """Try the waiting events of an order that has just accepted one, in order, until all of them must wait on."""
        tried = 0
        while tried < len(waiting := work.held(key).waiting):
            name = waiting[tried]
            accepted = self._alone(work, name, partial(self._desk.attempt, name=name, waited=True))
            if accepted is not None:
                tried = 0
            elif tried < len(left := work.held(key).waiting) and left[tried] == name:
                tried += 1

    def make_room(self, work: Work) -> None:
        """Delete letters while all of them together take more than they may: old ones, closed ones before open ones.

        For a parked one the head of its queue goes, and those behind it follow. The topic of dead letters keeps all.
        """
        table = work.step.table(LETTERS_TABLE)
        excess = table.committed_bytes - self._most_letter_bytes
        if excess <= 0:
            return
        by_state: dict[bool, dict[str, None]] = {False: {}, True: {}}
        as_it_stands = Draft(work.step)
        for name in table.oldest(MAKE_ROOM_AT_ONCE):
            head = self._desk.head_of(as_it_stands, name)
            by_state[work.letter(head).open][head] = None
        closed = opened = 0
        for name in (*by_state[False], *by_state[True]):
            letter = work.letter(name)
            if letter.open:
                self._alone(work, name, partial(self._desk.evict, name=name, by="the limit of ORDERS_LETTERS_MB"))
                opened += 1
            else:
                closed += 1
            table.delete(name)
            excess -= len(encode_row(letter))
            if excess <= 0:
                break
        if closed or opened:
            log.warning(
                "Partition %d: ORDERS_LETTERS_MB is reached: old letters, %d closed and %d open ones, are deleted",
                *(work.step.partition, closed, opened),
            )

    async def try_due(self, work: Work) -> None:
        """Try what is due, and what follows from that, but not without end."""
        while work.due and work.tries_left > 0:
            await work.step.turn()
            names = work.take_due(TRIED_BETWEEN_TURNS)
            faults: Sequence[Fault | None] = [None] * len(names)
            if self._checks is not None:
                events = [event_of(work.letter(name)) for name in names]
                wanted = [None if isinstance(event, EventError) else event for event in events]
                faults = await self._checks.faults(wanted, work.failures)
            for name, fault in zip(names, faults, strict=True):
                accepted = self._alone(work, name, partial(self._desk.attempt, name=name, fault=fault))
                if accepted is not None:
                    self.let_waiting_follow(work, accepted)

    def _alone(self, work: Work, name: str, act: Callable[[Draft], T]) -> T | None:
        """Do something with one letter, by itself: if it fails, it is that letter which has failed."""
        draft = Draft(work.step)
        try:
            result = act(draft)
            work.put(draft)
        except Exception as error:
            log.exception("Partition %d: the handler failed on letter %s", work.step.partition, name)
            draft = Draft(work.step)
            self._desk.fail(draft, name, failure_of(error, None))
            work.put(draft)
            return None
        return result
