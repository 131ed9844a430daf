"""Folding events into totals: deterministic, in any grouping, and equal to sums that are made without the folds."""

from collections import Counter, defaultdict
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from app.engine.table import encode_row, row_decoder
from models.aggregates import AGGREGATES, customers, products, revenue
from models.aggregates.aggregate import Aggregate
from models.errors import Refusal
from models.events import Event
from models.money import CURRENCIES
from models.order import DUPLICATE, Order, apply, events_of, order_key
from tests.property.lives import ROWS, accepted, sequences

each_aggregate = pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda aggregate: str(aggregate.name))

Rows = dict[str, Any]


def fold(aggregate: Aggregate[Any], contributions: list[tuple[str, Any]]) -> Rows:
    rows: Rows = {}
    for key, row in contributions:
        rows[key] = aggregate.merge(rows[key], row) if key in rows else row
    return rows


def contributed(aggregate: Aggregate[Any], events: list[Event]) -> list[tuple[str, Any]]:
    return [pair for change in accepted(events)[0] for pair in aggregate.contributions([change]).items()]


def table(aggregate: Aggregate[Any], events: list[Event]) -> Rows:
    return fold(aggregate, contributed(aggregate, events))


class Books:
    """The sums over accepted events, made anew from the events alone: no status, no rows, no folds."""

    def __init__(self, events: list[Event]) -> None:
        self.created = {(e.customer_id, e.order_id): e for e in events if e.event_type == "order.created"}
        self.refunds: list[tuple[Event, str, int]] = []  # (the event, its currency, minor units)
        self.closed: set[tuple[str, str]] = set()
        remaining = {order: e.total or 0 for order, e in self.created.items()}
        for event in events:
            order = event.customer_id, event.order_id
            currency = str(self.created[order].currency)
            if event.event_type in {"order.cancelled", "order.refunded"}:
                amount = remaining[order]
                if event.amount is not None:
                    amount = round(Decimal(str(event.amount)) * 10 ** CURRENCIES[currency])
                remaining[order] -= amount
                self.refunds.append((event, currency, amount))
            if event.event_type in {"order.delivered", "order.cancelled"} or (
                event.event_type == "order.refunded" and remaining[order] == 0
            ):
                self.closed.add(order)
        self.cancelled = [(e.customer_id, e.order_id) for e in events if e.event_type == "order.cancelled"]


@given(sequences())
def test_orders_equal_the_sums_over_their_events(events: list[Event]) -> None:
    """Total, refunds, pieces and times of each order are those of its accepted events, none of which is lost."""
    changes, orders = accepted(events)
    books = Books([change.event for change in changes])
    assert orders.keys() == {order_key(*order) for order in books.created}
    for order, event in books.created.items():
        row = orders[order_key(*order)]
        of_order = [c.event for c in changes if (c.event.customer_id, c.event.order_id) == order]
        pieces = sum(qty for _, qty, _ in event.items)
        assert (row.total, row.currency, row.item_count) == (event.total, event.currency, pieces)
        assert row.average_item_price == round(Decimal(row.total) / pieces)
        assert row.refunded == sum(amount for e, _, amount in books.refunds if (e.customer_id, e.order_id) == order)
        assert (row.created_at, row.updated_at) == (event.timestamp, of_order[-1].timestamp)
        assert list(events_of(row)) == [(e.event_id, e.event_type, e.timestamp) for e in of_order]
        assert sum(c.refunded for c in changes if (c.event.customer_id, c.event.order_id) == order) == row.refunded


@given(sequences())
def test_customers_equal_the_sums_over_their_events(events: list[Event]) -> None:
    """Orders, open ones, first and last, gross and refunded per currency."""
    books = Books([change.event for change in accepted(events)[0]])
    rows = table(customers.AGGREGATE, events)
    assert rows.keys() == {customer_id for customer_id, _ in books.created}
    for customer_id, row in rows.items():
        created = {order: e for order, e in books.created.items() if order[0] == customer_id}
        times = [e.timestamp for e in created.values()]
        money: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for event in created.values():
            money[str(event.currency)][0] += event.total or 0
        for event, currency, amount in books.refunds:
            if event.customer_id == customer_id:
                money[currency][1] += amount
        assert (row.order_count, row.open_orders) == (len(created), len(created.keys() - books.closed))
        assert (row.first_order_at, row.last_order_at) == (min(times), max(times))
        assert row.money == {currency: tuple(sums) for currency, sums in money.items()}


@given(sequences())
def test_products_equal_the_sums_over_their_events(events: list[Event]) -> None:
    """Orders and pieces of created orders, pieces of cancelled ones, and the revenue of what was not cancelled."""
    books = Books([change.event for change in accepted(events)[0]])
    orders: Counter[str] = Counter()
    sold: Counter[str] = Counter()
    cancelled: Counter[str] = Counter()
    money: dict[str, Counter[str]] = defaultdict(Counter)
    for order, event in books.created.items():
        orders.update({sku for sku, _, _ in event.items})
        for sku, qty, price in event.items:
            sold[sku] += qty
            cancelled[sku] += qty if order in books.cancelled else 0
            money[sku][str(event.currency)] += 0 if order in books.cancelled else qty * price
    assert table(products.AGGREGATE, events) == {
        sku: products.Product(orders[sku], sold[sku], cancelled[sku], dict(money[sku])) for sku in orders
    }


@given(sequences())
def test_revenue_equals_the_sums_over_minutes(events: list[Event]) -> None:
    """Each created order and each refund in the minute of its own event."""
    books = Books([change.event for change in accepted(events)[0]])
    minutes: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for event in books.created.values():
        minute = minutes[f"{event.currency}\x1f{event.timestamp[:16]}"]
        minute[0] += 1
        minute[1] += event.total or 0
    for event, currency, amount in books.refunds:
        if amount:
            minutes[f"{currency}\x1f{event.timestamp[:16]}"][2] += amount
    assert table(revenue.AGGREGATE, events) == {key: revenue.Revenue(*sums) for key, sums in minutes.items()}


@given(sequences())
def test_no_total_is_ever_negative(events: list[Event]) -> None:
    """After every single event: no count, no sum, and no net of an order or a customer."""
    rows: dict[str, Rows] = {aggregate.name: {} for aggregate in AGGREGATES}
    for change in accepted(events)[0]:
        assert 0 <= change.after.refunded <= change.after.total
        assert min(change.gross, change.refunded, change.after.average_item_price) >= 0
        for aggregate in AGGREGATES:
            held = rows[aggregate.name]
            for key, row in aggregate.contributions([change]).items():
                held[key] = aggregate.merge(held[key], row) if key in held else row
        for row in rows["customers"].values():
            assert 0 <= row.open_orders <= row.order_count
            assert all(0 <= refunded <= gross for gross, refunded in row.money.values())
        for row in rows["products"].values():
            assert row.orders > 0
            assert 0 <= row.units_cancelled <= row.units_sold
            assert min(row.money.values()) >= 0
        for row in rows["revenue"].values():
            assert min(astuple(row)) >= 0


@given(sequences())
def test_folding_the_same_events_again_gives_the_same(events: list[Event]) -> None:
    """Nothing but the events decides: not the clock, not chance, not what was folded before."""
    assert accepted(events) == accepted(events)
    for aggregate in AGGREGATES:
        assert table(aggregate, events) == table(aggregate, events)


@given(sequences(), st.data())
def test_duplicates_change_nothing(events: list[Event], data: st.DataObject) -> None:
    """Events sent again, anywhere after they were accepted, leave everything as it is."""
    changes, orders = accepted(events)
    again = [change.event for change in changes]
    twice = list(again)
    for event in data.draw(st.lists(st.sampled_from(again), max_size=5)) if again else []:
        twice.insert(data.draw(st.integers(twice.index(event) + 1, len(twice))), event)
    assert accepted(twice) == (changes, orders)
    for change in changes:
        key = order_key(change.event.customer_id, change.event.order_id)
        assert apply(orders[key], change.event) is DUPLICATE


@given(sequences())
def test_a_refused_event_changes_nothing(events: list[Event]) -> None:
    """The accepted events alone lead to the same orders."""
    changes, orders = accepted(events)
    assert accepted([change.event for change in changes]) == (changes, orders)


@given(sequences())
def test_orders_do_not_see_each_other(events: list[Event]) -> None:
    """Each order is the same without the others' events: it never depends on which share a partition."""
    _, orders = accepted(events)
    alone: dict[str, Any] = {}
    for key in {order_key(event.customer_id, event.order_id) for event in events}:
        alone |= accepted([event for event in events if order_key(event.customer_id, event.order_id) == key])[1]
    assert alone == orders


@each_aggregate
@given(sequences(), st.randoms(use_true_random=False))
def test_totals_do_not_depend_on_order_or_grouping(
    aggregate: Aggregate[Any], events: list[Event], random: Random
) -> None:
    """Contributions in any order, folded in any groups that are then merged, give the same rows."""
    contributions = contributed(aggregate, events)
    expected = fold(aggregate, contributions)
    random.shuffle(contributions)
    groups: list[list[tuple[str, Any]]] = [[] for _ in range(random.randint(1, 5))]
    for contribution in contributions:
        random.choice(groups).append(contribution)
    assert fold(aggregate, [pair for group in groups for pair in fold(aggregate, group).items()]) == expected


@each_aggregate
@given(sequences())
def test_changes_together_add_what_they_add_one_by_one(aggregate: Aggregate[Any], events: list[Event]) -> None:
    """A chunk of records is summed up before its sums are merged into rows."""
    changes, _ = accepted(events)
    together = aggregate.contributions(changes)
    assert together == table(aggregate, events)


@each_aggregate
@given(st.data())
def test_merging_is_associative_and_commutative(aggregate: Aggregate[Any], data: st.DataObject) -> None:
    """So rows can be summed over partitions in any order."""
    a, b, c = (data.draw(ROWS[aggregate.name]) for _ in range(3))
    merge = aggregate.merge
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@each_aggregate
@given(st.data())
def test_rows_survive_their_encoding(aggregate: Aggregate[Any], data: st.DataObject) -> None:
    """What is read back is equal, of the same types, and merges to the same."""
    row, other = data.draw(ROWS[aggregate.name]), data.draw(ROWS[aggregate.name])
    read = row_decoder(aggregate.row)(encode_row(row))
    assert (read, type(read)) == (row, type(row))
    assert aggregate.merge(read, other) == aggregate.merge(row, other)


@given(sequences())
def test_orders_survive_their_encoding(events: list[Event]) -> None:
    """An order that is read back equals the one that was written, after every event; and so does all that follows."""
    orders: dict[str, Any] = {}
    for event in events:
        key = order_key(event.customer_id, event.order_id)
        try:
            change = apply(orders.get(key), event)
        except Refusal:
            continue
        if change is not DUPLICATE:
            orders[key] = row_decoder(Order)(encode_row(change.after))
            assert orders[key] == change.after
    assert orders == accepted(events)[1]


@given(sequences())
def test_no_float_holds_money(events: list[Event]) -> None:
    """Every number in every row is a whole one."""

    def numbers(value: Any) -> list[type]:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return [kind for inner in value for kind in numbers(inner)]
        return [] if isinstance(value, str) or value is None else [type(value)]

    _, orders = accepted(events)
    rows = [*orders.values(), *(row for aggregate in AGGREGATES for row in table(aggregate, events).values())]
    assert set(numbers([astuple(row) for row in rows])) <= {int}
