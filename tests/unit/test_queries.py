"""Queries that look through a table: what they find, how much of it, and that others have their turn meanwhile."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.delivery.selecting import Selection
from app.engine.state import PartitionState, TableState
from app.engine.table import encode_row
from app.tables import TABLES
from app.topics import LETTERS_TABLE, ORDERS_TABLE
from app.web.reading import queries
from app.web.reading.queries import BySelection, ByText, CountOf, Newest, Query
from models.order import order_key
from tests.unit.test_web_letters import NOW, letter
from tests.unit.web_kit import partitions_of

ORDERS = 50


@pytest.fixture(scope="module")
def orders() -> TableState:
    """Orders of a customer, changed in another order than that of their ids, and one of somebody else."""
    events = [_created(f"o{number:02}", "c", number * 7 % ORDERS) for number in range(ORDERS)]
    everywhere = [part.tables[ORDERS_TABLE] for part in partitions_of([*events, _created("o", "other", 59)])]
    (found,) = (table for table in everywhere if order_key("c", "o00") in table.encoded)
    return found


def _created(order_id: str, customer_id: str, second: int) -> dict[str, Any]:
    return {
        "event_type": "order.created",
        "event_id": f"e-{order_id}",
        "timestamp": f"2026-11-21T12:00:{second:02}Z",
        "order_id": order_id,
        "customer_id": customer_id,
        "total_amount": "9.99",
        "currency": "GBP",
        "items": [{"sku": "mug", "qty": 1, "price": "9.99"}],
    }


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """An entry for each turn that a query gives to others."""
    given: list[None] = []

    async def turn() -> None:
        given.append(None)

    monkeypatch.setattr(queries, "turn", turn)
    return given


async def _keys(query: Query, rows: TableState) -> list[str]:
    return [key async for key, _ in query.select(rows)]


@pytest.mark.parametrize("slice_size", [1, 7, ORDERS - 1, ORDERS, 2_000])
@pytest.mark.parametrize("most", [1, 5, ORDERS, 100])
async def test_the_newest_orders_of_a_customer_are_those_that_changed_last(
    orders: TableState, monkeypatch: pytest.MonkeyPatch, slice_size: int, most: int
) -> None:
    """However many are looked at between two turns."""
    monkeypatch.setattr(queries, "SLICE", slice_size)
    monkeypatch.setattr(queries, "KEYS_SLICE", slice_size)
    by_time = sorted(range(ORDERS), key=lambda number: number * 7 % ORDERS, reverse=True)
    wanted = [order_key("c", f"o{number:02}") for number in by_time]
    assert await _keys(Newest(order_key("c", ""), most), orders) == wanted[:most]


@pytest.mark.parametrize("most", [1, 5, ORDERS])
async def test_no_more_rows_with_a_text_are_found_than_asked_for(orders: TableState, most: int) -> None:
    """An id that is everywhere must not make an answer of the whole table."""
    assert len(await _keys(ByText(ORDERS_TABLE, "mug", most), orders)) == most
    assert await _keys(ByText(ORDERS_TABLE, "e-o07", most), orders) == [order_key("c", "o07")]
    assert await _keys(ByText(ORDERS_TABLE, "e-o0", most), orders) == []


SEARCHES: Sequence[Query] = [Newest("", 3), ByText(ORDERS_TABLE, "none", 3)]


@pytest.mark.parametrize("query", SEARCHES, ids=lambda query: query.kind)
async def test_others_have_their_turn_while_many_rows_are_searched(
    orders: TableState, turns: list[None], monkeypatch: pytest.MonkeyPatch, query: Query
) -> None:
    """Also when they are small."""
    monkeypatch.setattr(queries, "SLICE", 1)
    await _keys(query, orders)
    assert len(turns) > ORDERS


@pytest.mark.parametrize(
    "query",
    [BySelection(Selection(), "", 10), ByText(LETTERS_TABLE, "e0", 10), CountOf(NOW)],
    ids=lambda query: query.kind,
)
async def test_others_have_their_turn_while_large_letters_are_searched(query: Query, turns: list[None]) -> None:
    """Not only between so many of them: between so many bytes."""
    table = PartitionState([named.table for named in TABLES]).tables[LETTERS_TABLE]
    count = 30
    for number in range(count):
        row = letter(number, value=bytes(queries.SLICE_BYTES))
        table.apply({f"0-{number}": row}, [(f"0-{number}", encode_row(row))])
    assert [found async for found in query.select(table)]
    assert len(turns) > count
