"""The totals kept over all orders, one file each. An aggregate is added by writing its file and naming it here."""

from typing import Any

from models.aggregates import customers, products, revenue
from models.aggregates.aggregate import Aggregate

AGGREGATES: tuple[Aggregate[Any], ...] = (customers.AGGREGATE, products.AGGREGATE, revenue.AGGREGATE)
