"""Per currency and minute (UTC, of the event's own timestamp): created orders, their money, and what went back."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from models.aggregates.aggregate import Aggregate
from models.keys import join_key, split_key
from models.money import CURRENCIES, format_minor, within_64_bits
from models.order import Change


class Revenue(Struct, array_like=True, gc=False):
    """The row of a minute. `gross` and `refunded` in minor units; more may go back in a minute than comes in."""

    orders: int = 0
    gross: int = 0
    refunded: int = 0


def revenue_key(currency: str, timestamp: str) -> str:
    """Return the key of the minute of a time: currency, "2026-11-21T12:00"."""
    return join_key(currency, timestamp[:16])


def contributions(changes: Iterable[Change]) -> dict[str, Revenue]:
    """Count each order in the minute in which it was created, and its refunds in theirs."""
    sums: defaultdict[str, Revenue] = defaultdict(Revenue)
    for change in changes:
        if change.before is None:
            minute = sums[revenue_key(change.after.currency, change.event.timestamp)]
            minute.orders += 1
            minute.gross += change.gross
        elif change.refunded:
            minute = sums[revenue_key(change.after.currency, change.event.timestamp)]
            minute.refunded += change.refunded
    return sums


def merge(a: Revenue, b: Revenue) -> Revenue:
    """Add two rows: of one minute, or of several into a longer time."""
    return Revenue(a.orders + b.orders, within_64_bits(a.gross + b.gross), within_64_bits(a.refunded + b.refunded))


def view(key: str, row: Revenue) -> dict[str, Any]:
    """Return a bucket as readers get it; its currency is in the key."""
    currency, minute = split_key(key)
    decimals = CURRENCIES[currency]
    return {
        "start": f"{minute}:00Z",
        "orders": row.orders,
        "gross": format_minor(row.gross, decimals),
        "refunded": format_minor(row.refunded, decimals),
        "net": format_minor(row.gross - row.refunded, decimals),
    }


AGGREGATE = Aggregate("revenue", Revenue, contributions, merge, view)
