"""The description of the API is true: of all addresses, of what they take, and of what they answer.

Longer than others: the document is one, and each part of it is held against the code by the same few helpers.
"""

import asyncio
import copy
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from typing import Any, NamedTuple

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from app.engine.errors import Unavailable
from app.engine.lane import LaneState
from app.engine.table import encode_row
from app.topics import LETTERS_TABLE
from app.views import can_be_id
from app.web.api.openapi import MEANINGS, description
from app.web.errors import ApiError
from app.web.guard import limits
from app.web.parameters import limit_in, selection_in, time_in
from app.web.reading import queries
from app.web.reading.lists import read_sort
from models.letters import Letter
from tests.unit.web_kit import Answer, Cluster, cluster
from tools.local_kafka import free_port

DOCUMENT = json.loads(json.dumps(description()))
OTHERS = {"/healthz", "/readyz", "/metrics", "/openapi.json"}
"""Public addresses that are no pages, and do not begin with /api/."""


def _event(event_type: str, order: str, customer: str, second: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "event_type": f"order.{event_type}",
        "event_id": f"{order}-{event_type}-{second}",
        "timestamp": f"2026-11-21T12:00:{second:02}.25Z",
        "order_id": order,
        "customer_id": customer,
        **more,
    }


def _created(order: str, customer: str, currency: str = "GBP", price: str = "12.50") -> dict[str, Any]:
    items = [{"sku": "mug", "qty": 2, "price": price}, {"sku": "é漢😀", "qty": 1, "price": "4"}]
    return _event("created", order, customer, total_amount="29", currency=currency, items=items)


EVENTS = [
    *(_created(f"o{n}", f"c{n}") for n in range(9)),
    *(_created("same", f"c{n}", "JPY", "12") for n in range(3)),
    _created("kwd", "c1", "KWD", "1.005"),
    _created("clf", "c1", "CLF"),
    _event("paid", "o1", "c1", 1),
    _event("refunded", "o1", "c1", 2, amount="9.97"),
    _event("cancelled", "o2", "c2", 3),
]

NOW = 1_790_000_000.25
DEAD = Letter(
    state="dead",
    cause="invalid_event",
    error="total_amount: is missing",
    event_type=None,
    event_id=None,
    order_id=None,
    customer_id=None,
    key=None,
    value=b'{"n":1}',
    headers=(("h", b"\xff"), ("h", None)),
    timestamp=2**62,
    timestamp_type=0,
    first_failed_at=NOW,
    last_failed_at=NOW,
    attempts=1,
)
RETRYING = DEAD.noted(
    NOW, "retrying", "me", "why", state="retrying", cause="check_failed", due_at=NOW, stack="Traceback", event_id="e1",
    event_type="order.paid", order_id="o1", customer_id="c1", key=b"c1", value=b"\xff", mended=b"{}", timestamp=1,
)  # fmt: skip
LETTERS = {"0-1": DEAD, "1-1": RETRYING, "2-1": DEAD.noted(NOW, "purged", state="purged", closed_at=NOW)}


@pytest.fixture
async def workers() -> AsyncIterator[Cluster]:
    """Two workers with orders and letters."""
    async with cluster(EVENTS) as running:
        for name, row in LETTERS.items():
            running.partitions[int(name[0])].tables[LETTERS_TABLE].apply({name: row}, [(name, encode_row(row))])
        yield running


# --- what is said of an address ---------------------------------------------------------------------------------------


class Operation(NamedTuple):
    """A method of an address, and an example of each."""

    method: str
    template: str
    said: Mapping[str, Any]

    @property
    def path(self) -> str:
        """An address of that form: of an order, a customer, a product and a letter that there are."""
        examples = {"order_id": "o1", "customer_id": "c1", "sku": "mug", "id": "0-1"}
        path = self.template.format_map(examples)
        return path + "?currency=GBP" if path == "/api/revenue" else path

    @property
    def body(self) -> bytes | None:
        """What can be sent there."""
        return b'{"ids": ["0-1"]}' if self.method == "POST" else None

    def check(self, answer: Answer) -> None:
        """Fail if it must not answer so."""
        said = self.said["responses"].get(str(answer.status))
        assert said is not None, f"{self.method} {self.template} answered {answer.status}: {answer.json}"
        (content_type,) = said["content"]
        assert answer.headers["Content-Type"].startswith(content_type)
        for name, header in said.get("headers", {}).items():
            validator(header["schema"]).validate(_read(answer.headers[name], header["schema"]["type"]))
        validator(said["content"][content_type]["schema"]).validate(answer.json)


def _read(text: str, kind: str) -> str | int:
    return int(text) if kind == "integer" else text


def validator(schema: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Return what checks values against a schema of the document, forms of times included."""
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]}, validate_formats=True, ignore_unknown_formats=True
    )


OPERATIONS = [
    Operation(method.upper(), template, said)
    for template, item in DOCUMENT["paths"].items()
    for method, said in item.items()
]
BY_NAME = {operation.said["operationId"]: operation for operation in OPERATIONS}
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=list(BY_NAME))


async def ask(workers: Cluster, operation: Operation, query: str = "", **headers: str) -> Answer:
    """Ask a worker as a program would; `query` instead of what the example has."""
    sent = ({"Content-Type": "application/json"} if operation.body else {}) | headers
    path = operation.path.partition("?")[0] + query if query else operation.path
    url = URL(workers.urls[0] + path, encoded=True)
    async with workers.client.request(operation.method, url, headers=sent, data=operation.body) as response:
        body = await response.text()
        is_json = response.content_type == "application/json"
        return Answer(response.status, json.loads(body) if is_json else body, response.headers)


# --- the document -----------------------------------------------------------------------------------------------------


def test_the_document_is_one_of_openapi() -> None:
    """By the schema of OpenAPI 3.1; what it refers to is there."""
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    assert len(BY_NAME) == len(OPERATIONS)
    for said in _objects(DOCUMENT):
        if "$ref" in said:
            assert said["$ref"].removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]
        if "operationId" in said:
            assert said["operationId"] in BY_NAME
        if "parameters" in said and isinstance(said["parameters"], dict):  # a link
            names = {each["name"] for each in BY_NAME[said["operationId"]].said["parameters"]}
            assert set(said["parameters"]) <= names


def test_every_schema_is_one_of_json_schema() -> None:
    """Of all parameters, bodies and answers; every pattern is understood."""
    for said in _objects(DOCUMENT):
        if "schema" in said:
            jsonschema_rs.meta.validate(said["schema"])
            validator(said["schema"])
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


def test_every_code_of_an_error_is_explained() -> None:
    """And none is that no address answers with."""
    used = {code for said in _objects(DOCUMENT) for code in said.get("code", {}).get("enum", ())}
    assert used == set(MEANINGS)


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(each)


async def test_every_public_address_is_described_and_no_other(workers: Cluster) -> None:
    """Each method of each route, pages and what workers ask each other apart."""
    routes = {
        (route.method, re.sub(r"\{[^}]*\}", "{}", route.resource.canonical))
        for route in workers.runners[0].app.router.routes()
        if route.resource is not None and route.method != "HEAD"  # of every GET, by HTTP
    }
    public = {(method, path) for method, path in routes if path.startswith("/api/") or path in OTHERS}
    assert public == {(each.method, re.sub(r"\{[^}]*\}", "{}", each.template)) for each in OPERATIONS}


@pytest.mark.parametrize("worker", [0, 1])
async def test_every_worker_gives_the_document(workers: Cluster, worker: int) -> None:
    """As it is checked here."""
    assert (await workers.get("/openapi.json", worker)).json == DOCUMENT


# --- what is answered -------------------------------------------------------------------------------------------------

ASKED = {
    "getOrders": ["?limit=100", "?customer_id=c1", "?customer_id=nobody", "?limit=0", "?limit=x", "?customer_id="],
    "getOrder": ["?customer_id=c1", "?customer_id=%00", "?x=1"],
    "getCustomers": ["?limit=1", "?sort=-net:KWD", "?sort=net", "?cursor=x", "?sort=first_order_at&limit=1000"],
    "getCustomer": ["?x=1"],
    "getProducts": ["?limit=1", "?sort=-revenue:JPY", "?sort=sku:GBP", "?cursor=x"],
    "getProduct": ["?x=1"],
    "getRevenue": [
        "?currency=JPY&step=1h", "?currency=KWD&from=2026-11-21&to=2026-11-22T00:00:00.5Z", "?currency=USD",
        "?currency=x", "?currency=GBP&to=2026-11-20&from=2026-11-21",
    ],
    "getLetters": ["?state=purged,dead", "?limit=1", "?state=", "?state=x", "?after=1", "?since=2026-09-21"],
    "getLetterFigures": ["?x=1"],
    "getStatus": ["?x=1"],
    "getDescription": ["?x=1"],
}  # fmt: skip


@every_operation
async def test_answers_are_as_described(workers: Cluster, operation: Operation) -> None:
    """What is there, and what cannot be asked so."""
    answer = await ask(workers, operation)
    assert answer.status in {200, 202}
    operation.check(answer)
    for query in ASKED.get(operation.said["operationId"], []):
        operation.check(await ask(workers, operation, query))


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        ("getOrder", "/api/orders/same", 409),
        ("getOrder", "/api/orders/same?customer_id=c2", 200),
        ("getOrder", "/api/orders/clf", 200),
        ("getOrder", "/api/orders/nope", 404),
        ("getOrder", "/api/orders/", 404),
        ("getCustomer", "/api/customers/nope", 404),
        ("getProduct", "/api/products/%F0%9F%98%80", 404),
        ("getProduct", "/api/products/%C3%A9%E6%BC%A2%F0%9F%98%80", 200),
        ("getLetter", "/api/dead-letters/1-1", 200),
        ("getLetter", "/api/dead-letters/2-1", 200),
        ("getLetter", "/api/dead-letters/3-1", 404),
        ("getLetter", "/api/dead-letters/x", 404),
    ],
)
async def test_what_is_of_an_id_is_as_described(workers: Cluster, name: str, path: str, status: int) -> None:
    """Whatever becomes of it."""
    answer = await workers.get(path)
    assert answer.status == status
    BY_NAME[name].check(answer)


@every_operation
async def test_too_long_an_answer_is_as_described(
    workers: Cluster, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there can be one, and nowhere else."""
    monkeypatch.setattr(queries, "MAX_ROWS", 1)
    monkeypatch.setattr(queries, "MAX_SUMS", 0)
    answer = await ask(workers, operation)
    operation.check(answer)
    assert (answer.status == 400) is ("too_many_rows" in json.dumps(operation.said["responses"]))


@every_operation
async def test_what_moves_is_as_described(workers: Cluster, operation: Operation) -> None:
    """A partition that loads, a worker that is silent, one that is ending: refused, or told of in the status."""
    assert workers.nodes[0].engine is not None
    workers.nodes[0].engine.states[2] = LaneState.LOADING
    operation.check(await ask(workers, operation))
    workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: f"http://127.0.0.1:{free_port()}"}
    operation.check(await ask(workers, operation))
    workers.nodes[0].failure = Unavailable("Kafka did not answer")
    operation.check(await ask(workers, operation))
    workers.nodes[0].engine, workers.nodes[0].routes = None, {}
    assert await _is_as_described(workers, operation, 503)


@every_operation
async def test_every_guard_is_described_where_it_stands(operation: Operation) -> None:
    """Token, name of the server, number of requests: refused if and only if that is described."""
    async with cluster(web_token="secret") as workers:
        assert await _is_as_described(workers, operation, 401)
        assert await _is_as_described(workers, operation, 401, Authorization="Bearer wrong")
        assert await _is_as_described(workers, operation, 421, Host="evil.example", Authorization="Bearer secret")
    async with cluster(web_rate=0.01) as workers:
        await ask(workers, operation)
        assert await _is_as_described(workers, operation, 429)


async def _is_as_described(workers: Cluster, operation: Operation, status: int, **headers: str) -> bool:
    answer = await ask(workers, operation, **headers)
    operation.check(answer)
    return (answer.status == status) is (str(status) in operation.said["responses"])


@pytest.mark.parametrize("name", ["redrive", "purge"])
async def test_what_is_posted_wrongly_is_refused_as_described(workers: Cluster, name: str) -> None:
    """With another site's origin, as another type, too large, broken, with garbage, for what is not there."""
    operation = BY_NAME[name]
    as_json = {"Content-Type": "application/json"}
    for status, body, headers in (
        (400, b"{}", as_json),
        (400, b"xxxx", as_json | {"Content-Encoding": "gzip"}),
        (400, b'{"ids": ["0-1"], "set": ["a.b.c=1"]}', as_json),
        (403, b"{}", as_json | {"Origin": "http://evil.example"}),
        (409, b'{"ids": ["2-1"]}', as_json),
        (413, BytesIO(b" " * (1 << 20) + b"{}"), as_json),
        (415, b"{}", {"Content-Type": "text/plain"}),
    ):
        url = workers.urls[0] + operation.path
        async with workers.client.post(url, data=body, headers=headers) as response:
            assert response.status == status
            operation.check(Answer(response.status, await response.json(), response.headers))


async def test_a_body_that_never_ends_is_refused_as_described(
    workers: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In time."""
    monkeypatch.setattr(limits, "ANSWER_SECONDS", 0.1)
    over = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await over.wait()

    url, headers = workers.urls[0] + "/api/dead-letters/purge", {"Content-Type": "application/json"}
    async with workers.client.post(url, data=body(), headers=headers) as response:
        assert response.status == 408
        BY_NAME["purge"].check(Answer(408, await response.json(), response.headers))
        over.set()


async def test_a_described_shape_is_strict(workers: Cluster) -> None:
    """An answer that lacks a field, has one more, or a number for money, is found out."""
    order = (await workers.get("/api/orders/o1")).json
    shape = validator({"$ref": "#/components/schemas/Order"})
    assert shape.is_valid(order)
    wrong = [{name: value for name, value in order.items() if name != left_out} for left_out in order]
    wrong += [order | {"more": 1}, order | {"total_amount": 29.0}, order | {"total_amount": "29.0"}]
    wrong += [order | {"created_at": "2026-02-30T12:00:00Z"}, order | {"created_at": "2026-11-21T12:00:00"}]
    wrong += [order | {"status": "lost"}, order | {"currency": "XXX"}, order | {"items": []}]
    item = copy.deepcopy(order)
    item["items"][0]["more"] = 1
    assert [each for each in [*wrong, item] if shape.is_valid(each)] == []


# --- what is taken ----------------------------------------------------------------------------------------------------


def _parameter(name: str, parameter: str) -> Mapping[str, Any]:
    (found,) = [each["schema"] for each in BY_NAME[name].said["parameters"] if each["name"] == parameter]
    schema: Mapping[str, Any] = found
    return schema


def _taken(read: Callable[[str], object], text: str) -> bool:
    with suppress(ApiError):
        read(text)
        return True
    return False


READ: Mapping[str, tuple[Mapping[str, Any], Callable[[str], object]]] = {
    "customers' sort": (_parameter("getCustomers", "sort"), lambda text: read_sort("customers", text)),
    "products' sort": (_parameter("getProducts", "sort"), lambda text: read_sort("products", text)),
    "time": (_parameter("getRevenue", "from"), lambda text: time_in({"from": text}, "from")),
    "states": (_parameter("getLetters", "state"), lambda text: selection_in({"state": text})),
    "causes": (_parameter("getLetters", "cause"), lambda text: selection_in({"cause": text})),
}
ODD = [
    "", "-", "--sku", "-order_count:GBP", "net", "net:", "net:gbp", "-net:GBP", "sku\n", "dead", "dead,", ",", "dead,x",
    "2026-02-29", "2028-02-29", "1900-02-29", "2000-02-29", "0000-01-01", "2026-11-21T24:00", "2026-11-21T23:59:60",
    "2026-11-21T12:00+23:59", "2026-11-21T12:00+24:00", "2026-11-21T12:00 0530", "2026-11-21T12:00+05:99",
    "2026-11-21T", "2026-11-21T12:00:00.1234567",
]  # fmt: skip


@pytest.mark.parametrize("what", READ)
@settings(deadline=None)
@given(data=st.data())
def test_a_parameter_takes_what_is_described_and_nothing_else(what: str, data: st.DataObject) -> None:
    """Text of the described form, near it, and any other."""
    schema, read = READ[what]
    form = st.from_regex(schema["pattern"], fullmatch=True)
    near = st.tuples(form, st.sampled_from("\n,:-0ZéGBP ")).map("".join)
    text = data.draw(form | near | st.sampled_from(ODD) | st.text())
    assert _taken(read, text) is validator(schema).is_valid(text), text


@settings(deadline=None)
@given(st.text() | st.from_regex("[0-9]{1,9}", fullmatch=True))
def test_a_limit_takes_what_is_described_and_nothing_else(text: str) -> None:
    """A whole number, within its limits."""
    schema = _parameter("getOrders", "limit")
    number = int(text) if re.fullmatch("[0-9]{1,8}", text) else text
    assert _taken(lambda given: limit_in({"limit": given}, 20, 100), text) is validator(schema).is_valid(number)


@settings(deadline=None)
@given(st.text(max_size=300) | st.text("é", min_size=250, max_size=260))
def test_an_id_can_be_what_is_described_and_nothing_else(text: str) -> None:
    """Up to 255 characters, none of them a control character."""
    assert can_be_id(text) is validator(_parameter("getOrder", "order_id")).is_valid(text)
