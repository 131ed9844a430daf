"""Per customer: how many orders, how many of them open, when, and how much money per currency."""

from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from models.aggregates.aggregate import Aggregate
from models.money import CURRENCIES, format_minor, within_64_bits
from models.order import OPEN, Change


class Customer(NamedTuple):
    """The row of a customer. The times are those of created orders.

    `money`: currency -> (gross, refunded), in minor units.
    """

    order_count: int
    open_orders: int
    first_order_at: str | None
    last_order_at: str | None
    money: dict[str, tuple[int, int]]


_new = partial(tuple.__new__, Customer)
"""Makes a row faster than its constructor, which is written in Python."""


class _Sum:
    """A row in the making."""

    __slots__ = ("first", "last", "money", "open_orders", "orders")

    def __init__(self) -> None:
        self.orders = self.open_orders = 0
        self.first: str | None = None
        self.last: str | None = None
        self.money: dict[str, tuple[int, int]] = {}


def contributions(changes: Iterable[Change]) -> dict[str, Customer]:
    """Count each order when it is created, its money as it comes and goes, and once that it is no longer open."""
    sums: defaultdict[str, _Sum] = defaultdict(_Sum)
    for change in changes:
        before, after, refunded = change.before, change.after, change.refunded
        if before is None:
            _add_created(sums[change.event.customer_id], change)
        elif refunded or after.status not in OPEN:
            customer = sums[change.event.customer_id]
            if before.status in OPEN and after.status not in OPEN:
                customer.open_orders -= 1
            if refunded:
                gross, had_refunded = customer.money.get(after.currency, (0, 0))
                customer.money[after.currency] = (gross, had_refunded + refunded)
    return {key: _new((c.orders, c.open_orders, c.first, c.last, c.money)) for key, c in sums.items()}


def _add_created(customer: _Sum, change: Change) -> None:
    created_at, currency = change.event.timestamp, change.after.currency
    customer.orders += 1
    customer.open_orders += 1
    if customer.first is None or created_at < customer.first:
        customer.first = created_at
    if customer.last is None or created_at > customer.last:
        customer.last = created_at
    gross, refunded = customer.money.get(currency, (0, 0))
    customer.money[currency] = (gross + change.gross, refunded)


def merge(a: Customer, b: Customer) -> Customer:
    """Add two rows of a customer."""
    orders, open_orders, first, last, money = a
    more_orders, more_open_orders, other_first, other_last, more_money = b
    if more_money:
        money = money.copy()
        for currency, (gross, refunded) in more_money.items():
            had_gross, had_refunded = money.get(currency, (0, 0))
            money[currency] = (within_64_bits(had_gross + gross), within_64_bits(had_refunded + refunded))
    if first is None or (other_first is not None and other_first < first):
        first = other_first
    if last is None or (other_last is not None and other_last > last):
        last = other_last
    return _new((orders + more_orders, open_orders + more_open_orders, first, last, money))


def decode(row: Any) -> Customer:
    """Return the row of a decoded JSON array."""
    order_count, open_orders, first, last, money, *later = row
    return Customer(
        order_count, open_orders, first, last, {c: (gross, back) for c, (gross, back) in money.items()}, *later
    )


def view(key: str, row: Customer) -> dict[str, Any]:
    """Return a customer as readers get it."""
    return {
        "customer_id": key,
        "order_count": row.order_count,
        "open_orders": row.open_orders,
        "first_order_at": row.first_order_at and row.first_order_at + "Z",
        "last_order_at": row.last_order_at and row.last_order_at + "Z",
        "money": {
            currency: {
                "gross": format_minor(gross, CURRENCIES[currency]),
                "refunded": format_minor(refunded, CURRENCIES[currency]),
                "net": format_minor(gross - refunded, CURRENCIES[currency]),
            }
            for currency, (gross, refunded) in sorted(row.money.items())
        },
    }


AGGREGATE = Aggregate("customers", contributions, merge, decode, view)
