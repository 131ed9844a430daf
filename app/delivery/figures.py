"""How many letters there are, and of which kind. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from models.letters import OPEN, Letter

MINUTE, HOUR = 60.0, 3_600.0


class Figures(Struct):
    """Counts by state, and of open letters by cause; when the oldest open one failed first (seconds since 1970).

    `last_minute` and `last_hour` count letters, closed ones too, that failed first in that time.
    """

    states: dict[str, int]
    causes: dict[str, int]
    oldest: float | None
    last_minute: int
    last_hour: int


def figures_of(letters: Iterable[Letter], now: float) -> Figures:
    """Count letters."""
    states: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    oldest: float | None = None
    minute = hour = 0
    for letter in letters:
        states[letter.state] += 1
        if letter.state in OPEN:
            causes[letter.cause] += 1
            oldest = letter.first_failed_at if oldest is None else min(oldest, letter.first_failed_at)
        minute += letter.first_failed_at > now - MINUTE
        hour += letter.first_failed_at > now - HOUR
    return Figures(states, causes, oldest, minute, hour)


def merge(a: Figures, b: Figures) -> Figures:
    """Add the figures of other letters."""
    return Figures(
        Counter(a.states) + Counter(b.states),
        Counter(a.causes) + Counter(b.causes),
        min((each.oldest for each in (a, b) if each.oldest is not None), default=None),
        a.last_minute + b.last_minute,
        a.last_hour + b.last_hour,
    )


def figures_view(figures: Figures, now: float) -> dict[str, Any]:
    """Return figures as readers get them; ages in seconds."""
    return {
        "open": sum(count for state, count in figures.states.items() if state in OPEN),
        "states": dict(sorted(figures.states.items())),
        "causes": dict(sorted(figures.causes.items())),
        "oldest_open_seconds": None if figures.oldest is None else max(0.0, now - figures.oldest),
        "last_minute": figures.last_minute,
        "last_hour": figures.last_hour,
    }
