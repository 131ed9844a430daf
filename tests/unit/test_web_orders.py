"""Orders, customers and products over HTTP: any worker answers for any key, in the shapes that others rely on."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from app.topics import partition_of
from tests.unit.web_kit import PARTITIONS, Cluster, cluster, fold

ODD_IDS = [
    "é漢😀", "a/b", "/", "a%2Fb", "%", "%zz", "..", ".", "{a}", "a b", "a+b", "a?b", "a#b", "a;b", "' OR 1=1", '"',
    "<b>", "\\", "😀" * 255, "constructor", "-0", "a:b@c", "*",
]  # fmt: skip


def _event(event_type: str, order: str, customer: str, time: str = "12:00:00", **more: Any) -> dict[str, Any]:
    return {
        "event_type": f"order.{event_type}",
        "event_id": f"{order[:9]}-{event_type}-{time}",
        "timestamp": f"2026-11-21T{time}Z",
        "order_id": order,
        "customer_id": customer,
        **more,
    }


def _created(order: str, customer: str, sku: str = "mug", time: str = "12:00:00") -> dict[str, Any]:
    items = [{"sku": sku, "qty": 2, "price": "12.50"}, {"sku": "tea", "qty": 1, "price": "4.98"}]
    return _event("created", order, customer, time, total_amount="29.97", currency="GBP", items=items)


CUSTOMERS = range(2, 10)

EVENTS = [
    *(_created("1", f"c{n}", time=f"12:0{n}:00.5") for n in CUSTOMERS),
    _created("2", "c4", time="13:00:00"),
    _event("paid", "2", "c4", "13:01:00"),
    _event("refunded", "2", "c4", "13:02:00", amount="9.97"),
    _created("9", "c9", time="13:00:00"),
    _event("cancelled", "9", "c9", "13:05:00"),
    *(_created(odd, odd, odd) for odd in ODD_IDS),
]


@pytest.fixture
async def workers() -> AsyncIterator[Cluster]:
    """Two workers, two partitions each."""
    async with cluster(EVENTS) as running:
        yield running


def test_the_customers_of_these_tests_live_in_all_partitions() -> None:
    """Else the tests below would show nothing."""
    assert {partition_of(f"c{n}", PARTITIONS) for n in CUSTOMERS} == set(range(PARTITIONS))


@pytest.mark.parametrize("worker", [0, 1])
async def test_an_order_has_the_shape_of_the_contract_at_every_worker(workers: Cluster, worker: int) -> None:
    """Money is text, times have an offset; found by its id alone."""
    answer = await workers.get("/api/orders/2", worker)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.json == {
        "order_id": "2",
        "customer_id": "c4",
        "status": "paid",
        "currency": "GBP",
        "total_amount": "29.97",
        "refunded_amount": "9.97",
        "item_count": 3,
        "average_item_price": "9.99",
        "created_at": "2026-11-21T13:00:00Z",
        "updated_at": "2026-11-21T13:02:00Z",
        "items": [{"sku": "mug", "qty": 2, "price": "12.50"}, {"sku": "tea", "qty": 1, "price": "4.98"}],
        "events": [
            {"event_id": "2-created-13:00:00", "event_type": "order.created", "timestamp": "2026-11-21T13:00:00Z"},
            {"event_id": "2-paid-13:01:00", "event_type": "order.paid", "timestamp": "2026-11-21T13:01:00Z"},
            {"event_id": "2-refunded-13:02:00", "event_type": "order.refunded", "timestamp": "2026-11-21T13:02:00Z"},
        ],
    }


@pytest.mark.parametrize("worker", [0, 1])
async def test_every_customer_is_found_at_every_worker(workers: Cluster, worker: int) -> None:
    """Wherever its partition is."""
    for n in set(CUSTOMERS) - {4, 9}:
        answer = await workers.get(f"/api/customers/c{n}", worker)
        assert answer.status == 200
        assert answer.json == {
            "customer_id": f"c{n}",
            "order_count": 1,
            "open_orders": 1,
            "first_order_at": f"2026-11-21T12:0{n}:00.5Z",
            "last_order_at": f"2026-11-21T12:0{n}:00.5Z",
            "money": {"GBP": {"gross": "29.97", "refunded": "0.00", "net": "29.97"}},
        }


@pytest.mark.parametrize("worker", [0, 1])
async def test_a_product_is_summed_over_all_partitions(workers: Cluster, worker: int) -> None:
    """Ten orders of it in four partitions of two workers, one of them cancelled."""
    answer = await workers.get("/api/products/mug", worker)
    assert answer.json == {
        "sku": "mug",
        "orders": 10,
        "units_sold": 20,
        "units_cancelled": 2,
        "money": {"GBP": {"revenue": "225.00"}},
    }


@pytest.mark.parametrize("worker", [0, 1])
async def test_an_order_id_of_several_customers_asks_which_one(workers: Cluster, worker: int) -> None:
    """409 that names the parameter; with it, each is found."""
    answer = await workers.get("/api/orders/1", worker)
    assert answer.status == 409
    assert answer.json["error"]["code"] == "ambiguous_order"
    assert "?customer_id=" in answer.json["error"]["message"]
    assert "8 customers" in answer.json["error"]["message"]
    for n in CUSTOMERS:
        one = await workers.get(f"/api/orders/1?customer_id=c{n}", worker)
        assert (one.status, one.json["customer_id"]) == (200, f"c{n}")


@pytest.mark.parametrize("worker", [0, 1])
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/orders/3", "unknown_order"),
        ("/api/orders/2?customer_id=c9", "unknown_order"),
        ("/api/orders/2?customer_id=nobody", "unknown_order"),
        ("/api/customers/c1", "unknown_customer"),
        ("/api/products/c4", "unknown_product"),
        ("/api/orders/", "not_found"),
        ("/api/orders/2/", "not_found"),
        ("/api/orders/2/items", "not_found"),
        ("/api", "not_found"),
        ("/API/orders/2", "not_found"),
    ],
)
async def test_what_is_not_there_is_a_404(workers: Cluster, path: str, code: str, worker: int) -> None:
    """In the same shape for keys and for addresses."""
    answer = await workers.get(path, worker)
    assert (answer.status, answer.json["error"]["code"]) == (404, code)
    assert set(answer.json) == {"error"}
    assert set(answer.json["error"]) == {"code", "message"}


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_odd_ids_are_found(workers: Cluster, odd: str) -> None:
    """Every id that an event may have, percent-encoded, at the worker that has it and at the other one."""
    name = quote(odd, safe="")
    for worker in (0, 1):
        order = await workers.get(f"/api/orders/{name}", worker)
        assert (order.status, order.json["order_id"]) == (200, odd)
        order = await workers.get(f"/api/orders/{name}?customer_id={name}", worker)
        assert (order.status, order.json["customer_id"]) == (200, odd)
        customer = await workers.get(f"/api/customers/{name}", worker)
        assert (customer.status, customer.json["customer_id"]) == (200, odd)
        product = await workers.get(f"/api/products/{name}", worker)
        assert (product.status, product.json["sku"]) == (200, odd)


@pytest.mark.parametrize(
    "name",
    ["%00", "%0A", "%1F", "c4%1F2", "%7F", "%FF%FE", "%ED%A0%80", "x" * 256, "x" * 10_240, "%F0%9F%98%80" * 300],
    ids=lambda name: name[:12],
)
@pytest.mark.parametrize("kind", ["orders", "customers", "products"])
async def test_what_cannot_be_an_id_is_unknown(workers: Cluster, kind: str, name: str) -> None:
    """Control characters, what is no text, what is too long: 404, in the shape of all errors, never a 500."""
    answer = await workers.get(f"/api/{kind}/{name}")
    assert (answer.status, answer.json["error"]["code"]) == (404, f"unknown_{kind[:-1]}")
    assert len(answer.json["error"]["message"]) < 300


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("customer_id=", "customer_id"),
        ("customer_id=%00", "customer_id"),
        (f"customer_id={'x' * 256}", "customer_id"),
        ("customer_id=c4&customer_id=c9", "customer_id"),
        ("customerid=c4", "customerid"),
        ("%00=1", "x00"),
    ],
)
async def test_a_parameter_that_cannot_be_used_is_named(workers: Cluster, query: str, named: str) -> None:
    """400, rather than an answer to another question."""
    answer = await workers.get(f"/api/orders/2?{query}")
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_parameter")
    assert named in answer.json["error"]["message"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_changed(workers: Cluster, method: str) -> None:
    """405 that says what is allowed."""
    answer = await workers.get("/api/orders/2", method=method)
    assert (answer.status, answer.json["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD"


async def test_an_order_is_read_as_it_was_last_committed(workers: Cluster) -> None:
    """Answers are made anew each time, and no cache on the way may keep them."""
    fold(workers.partitions, _event("shipped", "2", "c4", "14:00:00"))
    answer = await workers.get("/api/orders/2", 1)
    assert answer.json["status"] == "shipped"
    assert answer.headers["Cache-Control"] == "no-store"
