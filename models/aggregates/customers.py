"""Per customer: how many orders, how many of them open, when, and how much money per currency."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

from models.aggregates.aggregate import Aggregate, SortKey
from models.money import CURRENCIES, format_minor, within_64_bits
from models.order import OPEN, Change


class Customer(Struct, array_like=True, gc=False):
    """The row of a customer. The times are those of created orders.

    `money`: currency -> (gross, refunded), in minor units.
    """

    order_count: int = 0
    open_orders: int = 0
    first_order_at: str | None = None
    last_order_at: str | None = None
    money: dict[str, tuple[int, int]] = field(default_factory=dict)


def contributions(changes: Iterable[Change]) -> dict[str, Customer]:
    """Count each order when it is created, its money as it comes and goes, and once that it is no longer open."""
    sums: defaultdict[str, Customer] = defaultdict(Customer)
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
    return sums


def _add_created(customer: Customer, change: Change) -> None:
    created_at, currency = change.event.timestamp, change.after.currency
    customer.order_count += 1
    customer.open_orders += 1
    if customer.first_order_at is None or created_at < customer.first_order_at:
        customer.first_order_at = created_at
    if customer.last_order_at is None or created_at > customer.last_order_at:
        customer.last_order_at = created_at
    gross, refunded = customer.money.get(currency, (0, 0))
    customer.money[currency] = (gross + change.gross, refunded)


def merge(a: Customer, b: Customer) -> Customer:
    """Add two rows of a customer."""
    first, last, money = a.first_order_at, a.last_order_at, a.money
    if b.money:
        money = money.copy()
        for currency, (gross, refunded) in b.money.items():
            had_gross, had_refunded = money.get(currency, (0, 0))
            money[currency] = (within_64_bits(had_gross + gross), within_64_bits(had_refunded + refunded))
    if first is None or (b.first_order_at is not None and b.first_order_at < first):
        first = b.first_order_at
    if last is None or (b.last_order_at is not None and b.last_order_at > last):
        last = b.last_order_at
    return Customer(a.order_count + b.order_count, a.open_orders + b.open_orders, first, last, money)


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


def _net(_key: str, row: Customer, currency: str) -> int | None:
    money = row.money.get(currency)
    return None if money is None else money[0] - money[1]


def _part(place: int) -> SortKey:
    return SortKey(lambda _, row, currency: row.money[currency][place] if currency in row.money else None, True)


SORTS = {
    "order_count": SortKey(lambda _, row, __: row.order_count),
    "open_orders": SortKey(lambda _, row, __: row.open_orders),
    "first_order_at": SortKey(lambda _, row, __: row.first_order_at),
    "last_order_at": SortKey(lambda _, row, __: row.last_order_at),
    "customer_id": SortKey(lambda key, _, __: key),
    "net": SortKey(_net, of_currency=True),
    "gross": _part(0),
    "refunded": _part(1),
}

AGGREGATE = Aggregate("customers", Customer, contributions, merge, view, SORTS)
