"""The fold of the simple job, the same for every candidate written in Python."""

from typing import Any


def count(row: list[Any] | None, total: int | None, currency: str | None) -> list[Any]:
    """Return the customer's row `[events, orders, {currency: minor units}]` with one event more."""
    events, orders, money = row or [0, 0, {}]
    if total is None or currency is None:
        return [events + 1, orders, money]
    return [events + 1, orders + 1, {**money, currency: money.get(currency, 0) + total}]
