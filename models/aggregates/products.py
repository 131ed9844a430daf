"""Per product: in how many orders, how many pieces sold and cancelled, and their revenue. Refunds change nothing."""

from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from models.aggregates.aggregate import Aggregate
from models.money import CURRENCIES, format_minor, within_64_bits
from models.order import Change


class Product(NamedTuple):
    """The row of a product. `money`: currency -> revenue in minor units, of created orders less cancelled ones."""

    orders: int
    units_sold: int
    units_cancelled: int
    money: dict[str, int]


_new = partial(tuple.__new__, Product)
"""Makes a row faster than its constructor, which is written in Python."""


class _Sum:
    """A row in the making."""

    __slots__ = ("cancelled", "money", "orders", "sold")

    def __init__(self) -> None:
        self.orders = self.sold = self.cancelled = 0
        self.money: dict[str, int] = {}


def contributions(changes: Iterable[Change]) -> dict[str, Product]:
    """Count the items of each order when it is created, and take them back when it is cancelled."""
    sums: defaultdict[str, _Sum] = defaultdict(_Sum)
    for change in changes:
        after = change.after
        currency = after.currency
        if change.before is None:
            for sku, qty, price in after.items:
                product = sums[sku]
                product.sold += qty
                product.money[currency] = product.money.get(currency, 0) + qty * price
            for sku in {sku for sku, _, _ in after.items}:  # an order may have several lines of one product
                sums[sku].orders += 1
        elif change.event.event_type == "order.cancelled":
            for sku, qty, price in after.items:
                product = sums[sku]
                product.cancelled += qty
                product.money[currency] = product.money.get(currency, 0) - qty * price
    return {sku: _new((each.orders, each.sold, each.cancelled, each.money)) for sku, each in sums.items()}


def merge(a: Product, b: Product) -> Product:
    """Add two rows of a product."""
    orders, sold, cancelled, money = a
    more_orders, more_sold, more_cancelled, more_money = b
    money = money.copy()
    for currency, worth in more_money.items():
        money[currency] = within_64_bits(money.get(currency, 0) + worth)
    return _new((orders + more_orders, sold + more_sold, cancelled + more_cancelled, money))


def decode(row: Any) -> Product:
    """Return the row of a decoded JSON array."""
    return Product(*row)


def view(key: str, row: Product) -> dict[str, Any]:
    """Return a product as readers get it."""
    return {
        "sku": key,
        "orders": row.orders,
        "units_sold": row.units_sold,
        "units_cancelled": row.units_cancelled,
        "money": {
            currency: {"revenue": format_minor(worth, CURRENCIES[currency])}
            for currency, worth in sorted(row.money.items())
        },
    }


AGGREGATE = Aggregate("products", contributions, merge, decode, view)
