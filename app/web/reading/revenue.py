"""Revenue over all partitions, by minute, hour or day."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.web.reading.queries import ByRange
from app.web.reading.whole import Reading, Rows
from models.aggregates import revenue
from models.keys import SEPARATOR, join_key

MINUTE = "0000-01-01T00:00"
STEPS = {"1m": len("0000-01-01T00:00"), "1h": len("0000-01-01T00"), "1d": len("0000-01-01")}
"""How much of a minute's name the minutes of a step have in common."""


async def revenue_sums(
    reading: Reading, currency: str, start: datetime | None, end: datetime | None, step: str
) -> Rows:
    """Return the sums of each step in which something happened, from `start` up to, but without, `end` (UTC)."""
    return await reading.of_all(
        ByRange(
            revenue.AGGREGATE.name,
            join_key(currency, _bound(start) if start else ""),
            join_key(currency, _bound(end)) if end else currency + chr(ord(SEPARATOR) + 1),
            len(join_key(currency, "")) + STEPS[step],
        )
    )


def buckets(sums: Rows) -> Iterator[dict[str, Any]]:
    """Yield the sums as readers get them, in order."""
    for key in sorted(sums):
        currency, start = key.split(SEPARATOR)
        yield revenue.view(join_key(currency, start + MINUTE[len(start) :]), sums[key])


def _bound(moment: datetime) -> str:
    """Return a text that the minutes from `moment` on do not come before, and all earlier ones do."""
    minute = moment.isoformat()[:16]
    return minute if moment.second == moment.microsecond == 0 else minute + "~"
