"""Strategies: sequences of events of a few orders, in and out of turn, with duplicates; and rows of every aggregate."""

from typing import Any

from hypothesis import strategies as st

from models.aggregates.customers import Customer
from models.aggregates.products import Product
from models.aggregates.revenue import Revenue
from models.errors import Refusal
from models.events import MODELS, Event
from models.order import DUPLICATE, Change, Order, apply, order_key

CUSTOMERS, ORDERS, SKUS, CURRENCIES = ["c1", "c2"], ["o1", "o2"], ["a", "b", "c"], ["GBP", "EUR", "JPY"]
CREATED, PAID, SHIPPED, DELIVERED, CANCELLED, REFUNDED = MODELS
LIVES = [
    [],
    [CREATED, PAID],
    [CREATED, CANCELLED],
    [CREATED, PAID, REFUNDED, CANCELLED],
    [CREATED, PAID, REFUNDED, SHIPPED, REFUNDED, DELIVERED, REFUNDED, REFUNDED],
    [CREATED, PAID, SHIPPED, DELIVERED, REFUNDED, REFUNDED, REFUNDED, REFUNDED],
]

_times = st.builds("2026-11-21T12:{:02d}:{:02d}".format, st.integers(0, 3), st.sampled_from([0, 30]))
_items = st.lists(
    st.tuples(st.sampled_from(SKUS), st.integers(1, 5), st.integers(0, 1000)), min_size=1, max_size=4
).map(tuple)
_refund_amounts: st.SearchStrategy[str | float | None] = st.sampled_from(
    [None, 1, 2, 5, 60, "0.01", "3.00", "12.34", 0.5, 0.1 + 0.2, "0.001", 1e-9]
)


@st.composite
def _events(draw: st.DrawFn, customer_id: str, order_id: str, event_type: str) -> Event:
    event_id = f"evt-{draw(st.integers(0, 99))}"  # few enough for duplicates
    head = (event_type, event_id, draw(_times), order_id, customer_id)
    if event_type == "order.created":
        total = draw(st.sampled_from([0, 1, 60, 1500, 6000]) | st.integers(0, 6000))
        return Event(*head, total, draw(st.sampled_from(CURRENCIES)), draw(_items))
    return Event(*head, amount=draw(_refund_amounts) if event_type == "order.refunded" else None)


@st.composite
def sequences(draw: st.DrawFn) -> list[Event]:
    """Events of up to four orders: for each some of its life in turn, with anything in between."""
    pools = []
    for customer_id in CUSTOMERS:
        for order_id in ORDERS[: draw(st.integers(1, 2))]:
            types = list(draw(st.sampled_from(LIVES)))
            for _ in range(draw(st.integers(0, 3))):
                types.insert(draw(st.integers(0, len(types))), draw(st.sampled_from([*MODELS])))
            pools.append([draw(_events(customer_id, order_id, event_type)) for event_type in types])
    turns = draw(st.permutations([place for place, pool in enumerate(pools) for _ in pool]))
    return [pools[place].pop(0) for place in turns]


def accepted(events: list[Event]) -> tuple[list[Change], dict[str, Order]]:
    """Apply events one after the other: the changes of those that were accepted, and the orders as they then stand."""
    orders: dict[str, Order] = {}
    changes = []
    for event in events:
        key = order_key(event.customer_id, event.order_id)
        try:
            change = apply(orders.get(key), event)
        except Refusal:
            continue
        if change is not DUPLICATE:
            orders[key] = change.after
            changes.append(change)
    return changes, orders


_counts = st.integers(-5, 10**6)
_money = st.integers(0, 10**14)
_currency = st.sampled_from(CURRENCIES)

ROWS: dict[str, st.SearchStrategy[Any]] = {
    "customers": st.builds(
        lambda counts, times, money: Customer(counts[0], counts[1], times[0], times[1], money),
        st.tuples(_counts, _counts),
        st.just([None, None]) | st.tuples(_times, _times).map(sorted),
        st.dictionaries(_currency, st.tuples(_money, _money)),
    ),
    "products": st.builds(
        Product, _counts, _counts, _counts, st.dictionaries(_currency, st.integers(-(10**14), 10**14))
    ),
    "revenue": st.builds(Revenue, _counts, _money, _money),
}
"""Rows of each aggregate, by its name."""
