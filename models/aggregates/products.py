"""Per product: in how many orders, how many pieces sold and cancelled, and their revenue. Refunds change nothing."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

from models.aggregates.aggregate import Aggregate, SortKey
from models.money import CURRENCIES, format_minor, within_64_bits
from models.order import Change


class Product(Struct, array_like=True, gc=False):
    """The row of a product. `money`: currency -> revenue in minor units, of created orders less cancelled ones."""

    orders: int = 0
    units_sold: int = 0
    units_cancelled: int = 0
    money: dict[str, int] = field(default_factory=dict)


def contributions(changes: Iterable[Change]) -> dict[str, Product]:
    """Count the items of each order when it is created, and take them back when it is cancelled."""
    sums: defaultdict[str, Product] = defaultdict(Product)
    for change in changes:
        after = change.after
        currency = after.currency
        if change.before is None:
            for sku, qty, price in after.items:
                product = sums[sku]
                product.units_sold += qty
                product.money[currency] = product.money.get(currency, 0) + qty * price
            for sku in {sku for sku, _, _ in after.items}:  # an order may have several lines of one product
                sums[sku].orders += 1
        elif change.event.event_type == "order.cancelled":
            for sku, qty, price in after.items:
                product = sums[sku]
                product.units_cancelled += qty
                product.money[currency] = product.money.get(currency, 0) - qty * price
    return sums


def merge(a: Product, b: Product) -> Product:
    """Add two rows of a product."""
    money = a.money.copy()
    for currency, worth in b.money.items():
        money[currency] = within_64_bits(money.get(currency, 0) + worth)
    return Product(a.orders + b.orders, a.units_sold + b.units_sold, a.units_cancelled + b.units_cancelled, money)


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


SORTS = {
    "orders": SortKey(lambda _, row, __: row.orders),
    "units_sold": SortKey(lambda _, row, __: row.units_sold),
    "units_cancelled": SortKey(lambda _, row, __: row.units_cancelled),
    "sku": SortKey(lambda key, _, __: key),
    "revenue": SortKey(lambda _, row, currency: row.money.get(currency), of_currency=True),
}

AGGREGATE = Aggregate("products", Product, contributions, merge, view, SORTS)
