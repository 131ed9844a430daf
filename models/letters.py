"""Dead letters: events that were not accepted when they came, what became of them, and how readers get them. Pure."""

from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from models.errors import Cause

State = Literal["dead", "parked", "waiting", "retrying", "resolved", "purged"]

STATES: Final[tuple[str, ...]] = get_args(State)

OPEN: Final = frozenset({"dead", "parked", "waiting", "retrying"})
"""The states of a letter about which something can still be done."""

DECIDED: Final = frozenset(
    {
        "illegal_transition",
        "unknown_order",
        "order_exists",
        "refund_too_large",
        "unknown_type",
        "check_refused",
        "too_many_parked",
    }
)
"""Causes that hold nobody up: mostly the rules' own answer. After any other one it is undecided what the event would
have done to its order, so the order's later events are parked behind it."""

CAUSES: Final = (
    *get_args(Cause),
    *("handler_failed", "check_failed", "check_refused", "too_many_parked", "parked"),
)
"""All that a letter may say it is there for."""

DEAD_LETTER: Final = "dead_letter:"
"""What the names of outcomes begin with that are causes of dead letters."""

HISTORY: Final = 20
"""Most entries of a letter's history: the first ones and the last ones are kept, so that it does not grow."""

Deed = Literal["failed", "parked", "waiting", "retrying", "redriven", "mended", "accepted", "duplicate", "purged"]


class Entry(Struct, array_like=True, gc=False):
    """Something that happened to a letter. `at` in seconds since 1970; `by` is who asked for it, "" if nobody."""

    at: float
    deed: str
    by: str
    detail: str


class Letter(Struct, array_like=True, gc=False):
    """The row of a letter: the record as it came, untouched, and what is known of it. Times in seconds since 1970.

    `mended` is the value that is taken instead of the record's own, None: that one; `home` is the partition to which a
    mended letter has gone, None: it lies where its record came from. `failures` counts those since the
    last redrive, of which `round_began` is the first; `due_at` is when it is tried again.
    """

    state: str
    cause: str
    error: str
    event_type: str | None
    event_id: str | None
    order_id: str | None
    customer_id: str | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int
    timestamp_type: int
    first_failed_at: float
    last_failed_at: float
    attempts: int
    redrives: int = 0
    failures: int = 0
    round_began: float = 0.0
    due_at: float | None = None
    closed_at: float | None = None
    mended: bytes | None = None
    stack: str | None = None
    history: tuple[Entry, ...] = ()
    home: int | None = None

    @property
    def open(self) -> bool:
        """Whether something can still be done about it."""
        return self.state in OPEN

    @property
    def value_now(self) -> bytes | None:
        """The value that is taken: the mended one, or that of the record."""
        return self.value if self.mended is None else self.mended

    @property
    def undecided(self) -> bool:
        """Whether later events of its order must wait for it."""
        return self.state == "retrying" or (self.state == "dead" and self.cause not in DECIDED)

    def noted(self, at: float, deed: Deed, by: str = "", detail: str = "", **changes: Any) -> "Letter":
        """Return it with changes, and with an entry for them in its history."""
        history = (*self.history, Entry(at, deed, by, detail))
        if len(history) > HISTORY:
            half = HISTORY // 2
            history = (*history[:half], *history[half + 1 :])
        return replace(self, history=history, **changes)


class HeldOrder(Struct, array_like=True, gc=False):
    """The row of an order with open letters that concern it, by their ids, in the order of their arrival.

    `queue` begins with the one whose outcome is undecided; the others are parked behind it. `waiting` are those that
    came too early. `following`: the first of the queue is a parked one, and may be tried.
    """

    queue: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    following: bool = False


def letter_id(partition: int, offset: int) -> str:
    """Return the id of the letter of a record: where it came from in the orders topic."""
    return f"{partition}-{offset}"


def letter_view(key: str, letter: Letter) -> dict[str, Any]:
    """Return a letter as readers get it in lists."""
    return {
        "id": key,
        "cause": letter.cause,
        "state": letter.state,
        "event_type": letter.event_type,
        "order_id": letter.order_id,
        "customer_id": letter.customer_id,
        "error": letter.error,
        "attempts": letter.attempts,
        "redrives": letter.redrives,
        "first_failed_at": _time(letter.first_failed_at),
        "last_failed_at": _time(letter.last_failed_at),
    }


def whole_letter_view(key: str, letter: Letter) -> dict[str, Any]:
    """Return all of a letter, its record among it: as text where it is that, else in hexadecimal digits."""
    return {
        **letter_view(key, letter),
        "event_id": letter.event_id,
        "due_at": None if letter.due_at is None else _time(letter.due_at),
        "record": {
            "key": _shown(letter.key),
            "value": _shown(letter.value),
            "headers": [[name, _shown(value)] for name, value in letter.headers],
            "timestamp": _time_of_record(letter.timestamp),
        },
        "mended": _shown(letter.mended),
        "stack": letter.stack,
        "history": [
            {"at": _time(entry.at), "deed": entry.deed, "by": entry.by, "detail": entry.detail}
            for entry in letter.history
        ],
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time_of_record(milliseconds: int) -> str | int:
    """Return a time that a producer has given, as the number that it is where no calendar has it."""
    try:
        return _time(milliseconds / 1_000)
    except (OverflowError, ValueError, OSError):
        return milliseconds


def _shown(value: bytes | None) -> dict[str, str] | None:
    if value is None:
        return None
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"hex": value.hex()}
