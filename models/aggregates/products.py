"""Per product: in how many orders, how many pieces sold and cancelled, and their revenue. Refunds change nothing."""

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


def contributions(change: Change) -> Iterable[tuple[str, Product]]:
    """Count the items of an order when it is created, and take them back when it is cancelled."""
    after = change.after
    if change.before is None:
        return [
            (sku, _new((1, units, 0, {after.currency: worth}))) for sku, (units, worth) in _by_sku(after.items).items()
        ]
    if change.event.event_type == "order.cancelled":
        return [
            (sku, _new((0, 0, units, {after.currency: -worth}))) for sku, (units, worth) in _by_sku(after.items).items()
        ]
    return ()


def _by_sku(items: Iterable[tuple[str, int, int]]) -> dict[str, tuple[int, int]]:
    """Return sku -> (units, worth): an order may have several lines of one product."""
    lines: dict[str, tuple[int, int]] = {}
    for sku, qty, price in items:
        units, worth = lines.get(sku, (0, 0))
        lines[sku] = (units + qty, worth + qty * price)
    return lines


def merge(a: Product, b: Product) -> Product:
    """Add two rows of a product."""
    money = a.money.copy()
    for currency, worth in b.money.items():
        money[currency] = within_64_bits(money.get(currency, 0) + worth)
    return _new((a.orders + b.orders, a.units_sold + b.units_sold, a.units_cancelled + b.units_cancelled, money))


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
