"""Lists over all partitions: sorted totals page by page, recent orders, those of a customer, those of an event."""

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from app.engine.lane import LaneState
from app.engine.table import encode_row
from app.topics import partition_of
from app.views import VIEWS
from app.web.errors import not_ready
from app.web.reading import costly, ranking
from app.web.reading.costly import Costly, turn
from models.aggregates.customers import Customer
from models.aggregates.products import Product
from tests.unit.web_kit import PARTITIONS, Cluster, Engine, cluster, fold
from tools.local_kafka import free_port

CURRENCIES = ("EUR", "GBP", "JPY")

Rows = dict[str, Any]
Value = Callable[[str, Any], int | str | None]


# --- a shop with ties, several currencies, and more given back than taken ---------------------------------------------


def some_customers(chance: random.Random, count: int) -> Rows:
    """Return customers, many of which agree in what lists are sorted by."""
    moments = ["2026-11-21T12:00:00", "2026-11-21T12:00:00.5", "2026-11-21T12:00:01", "2025-01-01T00:00:00"]
    ids = [f"c{number}" for number in range(count - 6)] + ["é漢😀", "a/b", '"', "-1", "ß", "C1"]
    rows: Rows = {}
    for name in ids:
        first, last = sorted(chance.choices(moments, k=2))
        amounts = {
            currency: (chance.randrange(5), chance.randrange(8))
            for currency in CURRENCIES
            if chance.random() < (0.9 if currency == "GBP" else 0.4)
        }
        rows[name] = Customer(chance.randrange(4), chance.randrange(3), first, last, amounts)
    return rows


def some_products(chance: random.Random, count: int) -> Rows:
    """Return products, cancelled ones and such without money among them."""
    return {
        f"sku{number}": Product(
            chance.randrange(4),
            chance.randrange(9),
            chance.randrange(9),
            {currency: chance.randrange(-5, 5) for currency in CURRENCIES if chance.random() < 0.5},
        )
        for number in range(count)
    }


def put(workers: Cluster, table: str, partition: int, rows: Rows) -> None:
    """Commit rows to a partition."""
    for key, row in rows.items():
        workers.partitions[partition].tables[table].apply({key: row}, [(key, encode_row(row))])


def add_customers(workers: Cluster, rows: Rows) -> None:
    """Put each customer where it belongs."""
    for key, row in rows.items():
        put(workers, "customers", partition_of(key, PARTITIONS), {key: row})


def money(place: int, currency: str) -> Value:
    """Return what tells a part of a customer's money: 0 gross, 1 refunded."""
    return lambda _key, row: row.money[currency][place] if currency in row.money else None


def net(currency: str) -> Value:
    """Return what tells what a customer's orders came to in the end."""
    return lambda _key, row: row.money[currency][0] - row.money[currency][1] if currency in row.money else None


def worth(currency: str) -> Value:
    """Return what tells a product's revenue."""
    return lambda _key, row: row.money.get(currency)


CUSTOMER_SORTS: dict[str, Value] = {
    "customer_id": lambda key, _row: key,
    "order_count": lambda _key, row: int(row.order_count),
    "open_orders": lambda _key, row: int(row.open_orders),
    "first_order_at": lambda _key, row: str(row.first_order_at),
    "last_order_at": lambda _key, row: str(row.last_order_at),
    **{f"net:{currency}": net(currency) for currency in (*CURRENCIES, "USD")},
    **{f"gross:{currency}": money(0, currency) for currency in CURRENCIES},
    **{f"refunded:{currency}": money(1, currency) for currency in CURRENCIES},
}
PRODUCT_SORTS: dict[str, Value] = {
    "sku": lambda key, _row: key,
    "orders": lambda _key, row: int(row.orders),
    "units_sold": lambda _key, row: int(row.units_sold),
    "units_cancelled": lambda _key, row: int(row.units_cancelled),
    **{f"revenue:{currency}": worth(currency) for currency in CURRENCIES},
}


def by_hand(rows: Rows, value: Value, *, down: bool) -> list[str]:
    """Return the keys of rows as a list has them: sorted by value, then by key; those without a value left out."""
    places: list[Any] = [(found, key) for key, row in rows.items() if (found := value(key, row)) is not None]
    return [key for _, key in sorted(places, reverse=down)]


async def paged(workers: Cluster, table: str, sort: str, limit: int, worker: int = 0) -> list[dict[str, Any]]:
    """Read a list to its end."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = await workers.get(f"/api/{table}?sort={sort}&limit={limit}&cursor={cursor}", worker)
        assert answer.status == 200, answer.json
        assert set(answer.json) == {table, "next"}
        assert len(answer.json[table]) == limit or answer.json["next"] is None
        found += answer.json[table]
        cursor = answer.json["next"]
    return found


@pytest.mark.parametrize(("seed", "limit", "worker"), [(1, 1, 0), (2, 7, 0), (2, 7, 1), (3, 1_000, 1)])
async def test_customers_are_listed_as_if_all_were_sorted_by_hand(seed: int, limit: int, worker: int) -> None:
    """By whatever they can be sorted by, up and down, each exactly once, as they are told one by one."""
    rows = some_customers(random.Random(seed), 10 if limit == 1 else 50)
    async with cluster() as workers:
        add_customers(workers, rows)
        for sort, value in CUSTOMER_SORTS.items():
            for sign in ("", "-"):
                found = await paged(workers, "customers", sign + sort, limit, worker)
                expected = by_hand(rows, value, down=sign == "-")
                assert [row["customer_id"] for row in found] == expected, sign + sort
                assert found == [VIEWS["customers"].view(key, rows[key]) for key in expected]


@pytest.mark.parametrize(("seed", "limit", "worker"), [(1, 1, 0), (2, 7, 0), (2, 7, 1), (3, 1_000, 1)])
async def test_products_are_listed_by_what_they_come_to_in_all_partitions(seed: int, limit: int, worker: int) -> None:
    """The first one of all may be the last one of each."""
    chance = random.Random(seed)
    parts = [some_products(chance, 8 if limit == 1 else 50) for _ in range(PARTITIONS)]
    rows: Rows = {}
    async with cluster() as workers:
        for partition, some in enumerate(parts):
            kept = {key: row for key, row in some.items() if chance.random() < 0.6}
            put(workers, "products", partition, kept)
            for key, row in kept.items():
                VIEWS["products"].add(rows, key, row)
        for sort, value in PRODUCT_SORTS.items():
            for sign in ("", "-"):
                found = await paged(workers, "products", sign + sort, limit, worker)
                expected = by_hand(rows, value, down=sign == "-")
                assert found == [VIEWS["products"].view(key, rows[key]) for key in expected], sign + sort


async def test_the_first_product_of_all_is_the_first_of_none() -> None:
    """Each partition has another best seller; together a modest one wins."""
    async with cluster() as workers:
        for partition in range(PARTITIONS):
            put(workers, "products", partition, {f"hit{partition}": Product(1, 10), "steady": Product(1, 9)})
        (first,) = (await workers.get("/api/products?sort=-units_sold&limit=1")).json["products"]
        assert (first["sku"], first["units_sold"], first["orders"]) == ("steady", 36, 4)


async def test_more_rows_than_are_looked_at_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dropped on the way is never among the first."""
    monkeypatch.setattr(ranking, "SLICE", 10)
    rows = {f"c{number}": Customer(order_count=number % 50) for number in range(200)}
    async with cluster() as workers:
        add_customers(workers, rows)
        for sign in ("", "-"):
            found = [row["customer_id"] for row in await paged(workers, "customers", f"{sign}order_count", 3)]
            assert found == by_hand(rows, CUSTOMER_SORTS["order_count"], down=sign == "-")


async def test_lists_of_nothing_are_empty() -> None:
    """And nothing follows."""
    async with cluster() as workers:
        assert (await workers.get("/api/customers")).json == {"customers": [], "next": None}
        assert (await workers.get("/api/products?sort=-revenue:GBP")).json == {"products": [], "next": None}


async def test_without_a_wish_the_busiest_come_first(workers: Cluster) -> None:
    """Twenty of them."""
    add_customers(workers, {f"c{number}": Customer(order_count=number) for number in range(40)})
    put(workers, "products", 1, {f"s{number}": Product(units_sold=number) for number in range(40)})
    answer = (await workers.get("/api/customers")).json
    assert [row["customer_id"] for row in answer["customers"]] == [f"c{number}" for number in range(39, 19, -1)]
    answer = (await workers.get("/api/products")).json
    assert [row["sku"] for row in answer["products"]] == [f"s{number}" for number in range(39, 19, -1)]


# --- a list that changes while it is read -----------------------------------------------------------------------------


@pytest.fixture
async def workers() -> AsyncIterator[Cluster]:
    """Two workers, two partitions each."""
    async with cluster() as running:
        yield running


def _moved(rows: Rows, key: str, count: int) -> Rows:
    return {key: Customer(order_count=count, open_orders=rows[key].open_orders)}


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("moved", [1, 3, 9, 40])
@pytest.mark.parametrize("to", [0, 10_000])
async def test_rows_that_stay_are_never_lost_because_others_move(
    workers: Cluster, sign: str, moved: int, to: int
) -> None:
    """Which come first was found out a moment ago; some of them are somewhere else by now, up or down."""
    rows: Rows = {f"c{number}": Customer(order_count=number + 1) for number in range(300)}
    add_customers(workers, rows)
    first = (await workers.get(f"/api/customers?sort={sign}order_count&limit=5")).json
    second = f"/api/customers?sort={sign}order_count&limit=5&cursor={first['next']}"
    before = (await workers.get(second)).json
    ids = by_hand(rows, CUSTOMER_SORTS["order_count"], down=sign == "-")
    assert [row["customer_id"] for row in before["customers"]] == ids[5:10]
    gone = set(ids[5 : 5 + moved])
    for key in gone:
        add_customers(workers, _moved(rows, key, to))
    stay = [key for key in ids[5:] if key not in gone]
    found: list[dict[str, Any]] = []
    path: str | None = second
    while path is not None:
        answer = await workers.get(path)
        assert answer.status == 200, answer.json
        found += answer.json["customers"]
        following = answer.json["next"]
        path = following and f"/api/customers?sort={sign}order_count&limit=5&cursor={following}"
    shown = [row["customer_id"] for row in found]
    assert [key for key in shown if key in stay] == stay
    assert len(shown) == len(set(shown))
    counts = {row["customer_id"]: row["order_count"] for row in found}
    assert all(counts[key] == (to if key in gone else rows[key].order_count) for key in shown)
    assert set(shown) - set(stay) <= gone


async def test_rows_are_those_of_now_in_an_order_of_a_moment_ago(workers: Cluster) -> None:
    """Figures are never old, whatever the order."""
    add_customers(workers, {"a": Customer(order_count=1), "b": Customer(order_count=2)})
    path = "/api/customers?sort=order_count"
    assert [row["order_count"] for row in (await workers.get(path)).json["customers"]] == [1, 2]
    add_customers(workers, {"a": Customer(order_count=3)})
    assert [row["order_count"] for row in (await workers.get(path)).json["customers"]] == [2, 3]


async def test_who_has_moved_up_is_shown_where_it_is_now(workers: Cluster) -> None:
    """If it was found among those that follow; without a new search through all rows."""
    rows: Rows = {f"c{number}": Customer(order_count=number + 1) for number in range(100)}
    add_customers(workers, rows)
    path = "/api/customers?sort=-order_count&limit=5"
    first = [row["customer_id"] for row in (await workers.get(path)).json["customers"]]
    assert first == ["c99", "c98", "c97", "c96", "c95"]
    home = partition_of("c99", PARTITIONS)
    same = [
        key for key in by_hand(rows, CUSTOMER_SORTS["order_count"], down=True) if partition_of(key, PARTITIONS) == home
    ]
    add_customers(workers, _moved(rows, same[9], 10_000))
    first = [row["customer_id"] for row in (await workers.get(path)).json["customers"]]
    assert first == [same[9], "c99", "c98", "c97", "c96"]


async def test_a_few_that_have_moved_are_no_reason_to_search_again(
    workers: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows change all the time; searching through all of them each time would cost more than it shows."""
    searches = 0
    search = ranking._Found._search

    async def counted(found: ranking._Found, query: ranking.ByRank) -> Any:
        nonlocal searches
        searches += 1
        return await search(found, query)

    monkeypatch.setattr(ranking._Found, "_search", counted)
    monkeypatch.setattr(costly, "LEAST_SECONDS", 3_600.0)
    monkeypatch.setattr(costly, "MOST_SECONDS", 3_600.0)
    rows: Rows = {f"c{number}": Customer(order_count=number + 1) for number in range(100)}
    add_customers(workers, rows)
    for moved in range(4):
        if moved:
            add_customers(workers, _moved(rows, f"c{99 - moved}", 0))
        page = (await workers.get("/api/customers?sort=-order_count&limit=5")).json["customers"]
        expected = [number for number in range(99, 0, -1) if number == 99 or number < 99 - moved]
        assert [row["customer_id"] for row in page] == [f"c{number}" for number in expected[:5]]
    assert searches == PARTITIONS


async def test_searches_that_are_kept_are_few(workers: Cluster) -> None:
    """Cursors are anybody's to make: what is kept of them has a bound, and goes with its partition."""
    add_customers(workers, {f"c{number}": Customer(order_count=number) for number in range(20)})
    for number in range(3 * ranking.KEPT):
        cursor = _cursor(["customers", "order_count", "", True], [number, "x"])
        assert (await workers.get(f"/api/customers?sort=-order_count&cursor={cursor}")).status == 200
    tables = [partition.tables["customers"] for partition in workers.partitions]
    assert all(len(ranking._found[table]._places) <= ranking.KEPT for table in tables)


async def test_searches_at_once_are_bounded(workers: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each walks through all rows: those beyond are told to come again, and later they are answered."""
    add_customers(workers, {f"c{number}": Customer(order_count=number) for number in range(20)})
    go_on = asyncio.Event()

    async def held() -> None:
        await go_on.wait()

    monkeypatch.setattr(ranking, "turn", held)
    paths = [f"/api/customers?sort=-order_count&limit={limit}" for limit in range(1, ranking.AT_ONCE + 2)]
    asked = [asyncio.create_task(workers.get(path)) for path in paths]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    (refused,) = [task.result() for task in done]
    assert (refused.status, refused.json["error"]["code"]) == (503, "not_ready")
    assert "at once" in refused.json["error"]["message"]
    go_on.set()
    assert sorted([(await task).status for task in asked]) == [200] * ranking.AT_ONCE + [503]
    assert (await workers.get(paths[-1])).status == 200


# --- what cannot be listed --------------------------------------------------------------------------------------------


def _cursor(*of: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(of, separators=(",", ":")).encode()).decode().rstrip("=")


BY_COUNT = ["customers", "order_count", "", True]

BAD: list[tuple[str, str]] = [
    *(("sort", f"sort={sort}") for sort in ("x", "-", "--order_count", ":GBP", "order_count:GBP", "order_count:")),
    *(("sort", f"sort={sort}") for sort in ("net", "net:", "net:gbp", "net:XXXX", "-net:%E2%82%AC", "sku", "%00")),
    *(("limit", f"limit={limit}") for limit in ("0", "-1", "1001", "1e3", "x", "", "99999999999999999999", "%D9%A1")),
    *(("cursor", f"cursor={cursor}") for cursor in ("x", "!", "%00", "%C3%A9", "e30", "W10", "bnVsbA", "MQ", "W1tb")),
    ("cursor", "cursor=" + "W" * 8_000),
    ("cursor", "cursor=" + _cursor(BY_COUNT, [1, "a"]) + "&sort=order_count"),
    ("cursor", "cursor=" + _cursor(["customers", "order_count", "", False], [1, "a"])),
    ("cursor", "cursor=" + _cursor(["products", "orders", "", True], [1, "a"])),
    ("cursor", "cursor=" + _cursor(BY_COUNT, [1.5, "a"])),
    ("cursor", "cursor=" + _cursor(BY_COUNT, [True, "a"])),
    ("cursor", "cursor=" + _cursor(BY_COUNT, [None, "a"])),
    ("cursor", "cursor=" + _cursor(BY_COUNT, [1])),
    ("cursor", "cursor=" + _cursor(BY_COUNT, [1, 2])),
    ("cursor", "cursor=" + _cursor(BY_COUNT)),
    ("cursor", "cursor=" + _cursor(BY_COUNT, [1, "\ud800"])),
    ("sort", "sort=net:GBP&sort=net:GBP"),
    ("order", "order=net"),
]  # fmt: skip


@pytest.mark.parametrize(("named", "query"), BAD)
async def test_what_cannot_be_asked_for_is_a_400(workers: Cluster, named: str, query: str) -> None:
    """With the parameter and what it takes."""
    answer = await workers.get(f"/api/customers?{query}")
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_parameter")
    assert named in answer.json["error"]["message"]
    assert len(answer.json["error"]["message"]) < 300


@pytest.mark.parametrize(
    "place", [[2**63, "a"], [2**70, "a"], [-(2**70), "a"], ["text", "a"], [1, ""], [1, "\x00"], [0, "😀" * 300]]
)
async def test_a_cursor_that_somebody_made_up_is_a_place_like_any_other(workers: Cluster, place: Any) -> None:
    """None of ours says so, but nothing breaks: what follows it is told, at every worker."""
    add_customers(workers, {f"c{number}": Customer(order_count=number) for number in range(9)})
    for worker in (0, 1):
        answer = await workers.get(f"/api/customers?cursor={_cursor(BY_COUNT, place)}", worker)
        assert answer.status == 200
        counts = [row["order_count"] for row in answer.json["customers"]]
        after = place[0] if isinstance(place[0], int) else -1
        assert counts == [
            count for count in range(8, -1, -1) if count < after or (count == after and place[1] > f"c{count}")
        ]


@pytest.mark.parametrize(
    "path", ["/api/customers", "/api/products?sort=sku", "/api/orders", "/search?q=nothing", "/customers", "/products"]
)
async def test_a_list_is_whole_or_there_is_none(path: str) -> None:
    """Whichever worker is away, or has not loaded all: 503 that says which."""
    async with cluster() as workers:
        engine = workers.nodes[1].engine
        assert isinstance(engine, Engine)
        engine.states[3] = LaneState.LOADING
        for worker in (0, 1):
            answer = await workers.get(path, worker)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert "partition 3 is loading" in answer.json["error"]["message"]
        engine.states[3] = LaneState.RUNNING
        workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: f"http://127.0.0.1:{free_port()}"}
        answer = await workers.get(path)
        assert (answer.status, answer.json["error"]["code"]) == (503, "not_ready")
        assert "partition 1: no answer from" in answer.json["error"]["message"]


async def test_a_list_is_whole_again_once_the_worker_is_back() -> None:
    """An error is not kept, not even for half a second."""
    async with cluster() as workers:
        put(workers, "products", 1, {"mug": Product(1, 2)})
        away = workers.nodes[0].routes
        workers.nodes[0].routes = dict(away) | {1: f"http://127.0.0.1:{free_port()}"}
        assert (await workers.get("/api/products")).status == 503
        workers.nodes[0].routes = away
        assert [row["sku"] for row in (await workers.get("/api/products")).json["products"]] == ["mug"]


# --- orders -----------------------------------------------------------------------------------------------------------


def created(order: str, customer: str, moment: str = "12:00:00", event_id: str = "") -> dict[str, Any]:
    """Return an event."""
    return {
        "event_type": "order.created",
        "event_id": event_id or f"{order[:50]}-created",
        "timestamp": f"2026-11-21T{moment}Z",
        "order_id": order,
        "customer_id": customer,
        "total_amount": "2.00",
        "currency": "GBP",
        "items": [{"sku": "mug", "qty": 2, "price": "1.00"}],
    }


def later(event_type: str, order: str, customer: str, moment: str, event_id: str = "") -> dict[str, Any]:
    """Return an event that follows."""
    return {
        "event_type": f"order.{event_type}",
        "event_id": event_id or f"{order[:50]}-{event_type}",
        "timestamp": f"2026-11-21T{moment}Z",
        "order_id": order,
        "customer_id": customer,
    }


async def _orders(workers: Cluster, query: str = "", worker: int = 0) -> list[tuple[str, str]]:
    answer = await workers.get(f"/api/orders{query}", worker)
    assert answer.status == 200, answer.json
    return [(order["order_id"], order["updated_at"].removeprefix("2026-11-21T")) for order in answer.json["orders"]]


async def test_orders_changed_last_come_first_wherever_they_are() -> None:
    """By the time of their last event, parts of a second included: 12:00:00 is before 12:00:00.5."""
    times = ["12:00:00", "12:00:00.5", "12:00:00.25", "12:00:01", "11:59:59.999999", "12:00:00.500001"]
    events = [created(f"o{number}", f"c{number}", moment) for number, moment in enumerate(times)]
    async with cluster([*events, later("paid", "o4", "c4", "13:00:00")]) as workers:
        for worker in (0, 1):
            assert await _orders(workers, worker=worker) == [
                ("o4", "13:00:00Z"),
                ("o3", "12:00:01Z"),
                ("o5", "12:00:00.500001Z"),
                ("o1", "12:00:00.5Z"),
                ("o2", "12:00:00.25Z"),
                ("o0", "12:00:00Z"),
            ]
            assert [name for name, _ in await _orders(workers, "?limit=2", worker)] == ["o4", "o3"]


async def test_only_orders_that_steps_have_changed_are_recent(workers: Cluster) -> None:
    """What was read back from the broker is as old as it may be; each changed one comes once."""
    assert await _orders(workers) == []
    scratch = [created("old", "c1"), created("new", "c2")]
    for event in scratch:
        fold(workers.partitions, event)
    state = workers.partitions[partition_of("c1", PARTITIONS)].tables["orders"]
    state.changed.clear()
    for minute in range(1, 4):
        fold(workers.partitions, later(["paid", "shipped", "delivered"][minute - 1], "new", "c2", f"12:0{minute}:00"))
    assert await _orders(workers) == [("new", "12:03:00Z")]


@pytest.mark.parametrize("limit", ["0", "101", "x", ""])
async def test_so_many_orders_are_not_told(workers: Cluster, limit: str) -> None:
    """400."""
    answer = await workers.get(f"/api/orders?limit={limit}")
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_parameter")


def neighbours(name: str) -> Iterator[str]:
    """Yield ids that begin with `name` and live in the same partition, so that only the key tells them apart."""
    home = partition_of(name, PARTITIONS)
    for more in ("0", "00", "1", "10", "-", " ", "x", "!", "~", "é", "\x80", "/", "a", "b", "c", "d", "e", "f"):
        if partition_of(name + more, PARTITIONS) == home:
            yield name + more


@pytest.mark.parametrize("name", ["c1", "c", "é", "a/b", '"', "%", "😀"])
async def test_a_customers_orders_are_its_own(name: str) -> None:
    """Not those of customers whose ids begin alike, however many; the one changed last first."""
    others = list(neighbours(name))
    assert others
    events = [created(f"o{number}", name, f"12:00:{number:02}") for number in range(30)]
    events += [created(f"x{number}", other, "13:00:00") for other in others for number in range(3)]
    async with cluster([*events, later("paid", "o3", name, "14:00:00")]) as workers:
        for worker in (0, 1):
            path = f"?customer_id={quote(name, safe='')}"
            found = [order for order, _ in await _orders(workers, f"{path}&limit=100", worker)]
            assert found == ["o3", *(f"o{number}" for number in range(29, -1, -1) if number != 3)]
            assert len(await _orders(workers, path, worker)) == 20
            for other in others:
                found = [order for order, _ in await _orders(workers, f"?customer_id={quote(other, safe='')}", worker)]
                assert sorted(found) == ["x0", "x1", "x2"]


async def test_a_customer_without_orders_has_none(workers: Cluster) -> None:
    """An empty list; what can be no customer's id is a 400."""
    assert await _orders(workers, "?customer_id=nobody") == []
    for bad in ("", "%00", "c%1Fo", "x" * 256):
        answer = await workers.get(f"/api/orders?customer_id={bad}")
        assert (answer.status, answer.json["error"]["code"]) == (400, "bad_parameter")


EVENT_IDS = [
    "e", "e1", "e10", "e1-2", "xe1", '"', '"e1"', 'a"b', "\\", "\\\\", 'a\\"b', "a\\u0041", "é漢😀", "/", "a/b",
    "</script>", "<b>&amp;", "'", "%41", "a b", "[", ",", '","', "a\u2028b", "\u00e9", "e\u0301", "1", "x" * 255,
    "😀" * 255, "null", "..",
]  # fmt: skip


async def _led_to(workers: Cluster, text: str, worker: int) -> str:
    url = URL(f"{workers.urls[worker]}/search?q={quote(text, safe='')}", encoded=True)
    async with workers.client.get(url, allow_redirects=False) as response:
        return f"{response.status} {response.headers.get('Location', '')}"


async def test_an_order_is_found_by_the_id_of_any_of_its_events() -> None:
    """At every worker, whatever stands in the id; ids that contain it, or that it contains, are others."""
    events = []
    for number, event_id in enumerate(EVENT_IDS):
        order, customer = f"order-{number}", f"customer-{number}"
        if number % 2:
            events += [created(order, customer), later("paid", order, customer, "12:01:00", event_id)]
        else:
            events += [created(order, customer, event_id=event_id), later("paid", order, customer, "12:01:00")]
    async with cluster(events) as workers:
        for number, event_id in enumerate(EVENT_IDS):
            for worker in (0, 1):
                where = f"/orders/order-{number}?customer_id=customer-{number}"
                assert await _led_to(workers, event_id, worker) == f"303 {where}", event_id
        for missing in (
            "e2",
            "e1-",
            '"e',
            "A",
            "x" * 254,
            "\u00c9",
            "order.paid",
            "GBP",
            "paid",
            "2026-11-21T12:00:00",
        ):
            assert await _led_to(workers, missing, 0) == "200 ", missing


async def test_an_event_is_found_though_many_ids_contain_its_own() -> None:
    """They are not among what is looked at, so that they do not use up what is shown."""
    events = [created(f"o{number}", "c1", event_id=f"x-77-{number}") for number in range(60)]
    async with cluster([*events, created("last", "c1", event_id="77")]) as workers:
        assert await _led_to(workers, "77", 0) == "303 /orders/last?customer_id=c1"


async def test_an_id_of_several_things_shows_them_all() -> None:
    """Two customers may have an event of the same id."""
    events = [created("o1", "c1", event_id="same"), created("o2", "c2", event_id="same")]
    async with cluster(events) as workers:
        async with workers.client.get(workers.urls[0] + "/search?q=same") as response:
            text = await response.text()
        assert "/orders/o1?customer_id=c1" in text
        assert "/orders/o2?customer_id=c2" in text


# --- what is costly to find out ---------------------------------------------------------------------------------------


class Search:
    """Something that takes time to find out, and may fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch | None = None, seconds: float = 0.0) -> None:
        self.calls = 0
        self.now = 1_000.0
        self.seconds = seconds
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fault: Exception | None = None
        if monkeypatch is not None:
            monkeypatch.setattr(costly, "time", SimpleNamespace(monotonic=lambda: self.now))

    async def find(self) -> int:
        """Return how often it was asked for."""
        self.calls += 1
        number = self.calls
        self.now += self.seconds
        await self.go_on.wait()
        if self.fault is not None:
            raise self.fault
        return number


async def test_it_is_found_out_once_for_all_who_ask_meanwhile() -> None:
    """However many."""
    search = Search()
    search.go_on.clear()
    found = Costly(search.find)
    asked = [asyncio.create_task(found.get()) for _ in range(50)]
    await asyncio.sleep(0)
    search.go_on.set()
    assert await asyncio.gather(*asked) == [1] * 50
    assert search.calls == 1


@pytest.mark.parametrize(
    ("seconds", "kept"), [(0.0, 0.5), (0.001, 0.5), (0.1, 2.0), (1.0, 20.0), (5.0, 60.0), (100.0, 60.0)]
)
async def test_it_is_kept_for_as_long_as_its_cost_says(
    monkeypatch: pytest.MonkeyPatch, seconds: float, kept: float
) -> None:
    """A twentieth of a core goes into it at most; nothing is older than a minute."""
    search = Search(monkeypatch, seconds)
    found = Costly(search.find)
    assert await found.get() == 1
    search.now += kept - 0.01
    assert await found.get() == 1
    search.now += 0.02
    assert await found.get() == 2


async def test_an_error_goes_to_all_who_waited_and_is_not_kept() -> None:
    """Whoever asks next may have more luck."""
    search = Search()
    search.go_on.clear()
    search.fault = not_ready("not now")
    found = Costly(search.find)
    asked = [asyncio.create_task(found.get()) for _ in range(3)]
    await asyncio.sleep(0)
    search.go_on.set()
    assert await asyncio.gather(*asked, return_exceptions=True) == [search.fault] * 3
    search.fault = None
    assert await found.get() == 2


async def test_an_old_answer_is_not_told_when_a_new_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could tell how old it is."""
    search = Search(monkeypatch)
    found = Costly(search.find)
    assert await found.get() == 1
    search.now += 1
    search.fault = not_ready("not now")
    for _ in range(2):
        with pytest.raises(type(search.fault)):
            await found.get()
    assert search.calls == 3


@pytest.mark.usefixtures("nothing_forgotten")
async def test_it_is_found_out_to_its_end_though_whoever_asked_has_gone() -> None:
    """The next one gets it; one who waits beside one who goes gets it too."""
    search = Search()
    search.go_on.clear()
    found = Costly(search.find)
    gone, patient = asyncio.create_task(found.get()), asyncio.create_task(found.get())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait({gone})
    assert gone.cancelled()
    search.go_on.set()
    assert await patient == 1
    search = Search()
    search.go_on.clear()
    found = Costly(search.find)
    gone = asyncio.create_task(found.get())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait({gone})
    search.go_on.set()
    assert await found.get() == 1
    assert search.calls == 1


@pytest.mark.usefixtures("nothing_forgotten")
async def test_an_error_that_nobody_waits_for_is_no_fault() -> None:
    """It is not logged as one that was forgotten."""
    search = Search()
    search.go_on.clear()
    search.fault = not_ready("not now")
    found = Costly(search.find)
    gone = asyncio.create_task(found.get())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait({gone})
    search.go_on.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert search.calls == 1
    search.fault = None
    assert await found.get() == 2


async def test_searches_take_turns() -> None:
    """However many are under way, one of them computes in a pass of the event loop, and others go before it."""
    loop, passes, computed = asyncio.get_running_loop(), 0, list[int]()
    over = asyncio.Event()

    def count() -> None:
        nonlocal passes
        passes += 1
        if not over.is_set():
            loop.call_soon(count)

    async def search() -> None:
        for _ in range(5):
            await turn()
            computed.append(passes)

    loop.call_soon(count)
    await asyncio.gather(*(search() for _ in range(20)))
    over.set()
    assert len(computed) == 100
    assert len(set(computed)) == 100
