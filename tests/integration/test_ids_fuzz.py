"""Whatever stands in an address, a worker answers in good order: asked over bare sockets, while two share the work."""

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from app.engine.table import encode_row
from app.topics import LETTERS_TABLE
from app.web.api.openapi import description
from tests.unit.test_web_letters import letter
from tests.unit.web_kit import Cluster, cluster

EVENTS = [
    {
        "event_type": "order.created",
        "event_id": order,
        "timestamp": "2026-11-21T12:00:00Z",
        "order_id": order,
        "customer_id": order,
        "total_amount": 1,
        "currency": "GBP",
        "items": [{"sku": order, "qty": 1, "price": 1}],
    }
    for order in ("1", "2", "a/b", "..", "é漢😀", "%zz", "<script>alert(1)</script>", "' OR 1=1 --", "x" * 255)
]

ENCODED = [
    "", ".", "..", "...", "%2e%2e", "../..", "..%2f..%2fetc%2fpasswd", "/", "//", "%2f", "a/b", "a%2fb", "a%252fb",
    "\\", "%5c", "%", "%%", "%2", "%z", "%zz", "%u0041", "%ff", "%ff%fe", "%80", "%c0%ae%c0%ae", "%f4%90%80%80",
    "%f0%9f%98", "%00", "1%00", "%00%00", "%01", "%0a", "%0d%0aSet-Cookie:%20a=b", "1%0d%0a%0d%0a", "%09", "%1b[2J",
    "%1f", "1%1f1", "%7f", "%c2%85", "%ed%a0%80", "%ed%b2%80", "%ed%a0%bd%ed%b8%80", "%ef%bf%bf", "%f0%9f%98%80",
    "%c3%a9", "e%cc%81", "%e2%80%ae", "%ef%bb%bf", "<script>alert(1)</script>", "%3cscript%3ealert(1)%3c/script%3e",
    "%22%3e%3cimg%20src=x%20onerror=alert(1)%3e", "'%20OR%201=1%20--", "{id}", "{0.__class__}", "{{7*7}}", "${7*7}",
    "$ne", "*", "?", "?x=1", "?=", "&", ";", "#", "@", ":", "+", "=", "1,2", ",", "0", "-1", "1e999", "NaN", "null",
    "true", "[]", "%5b%22x%22%5d", "__proto__", "0-1", "00-01", "0-1%0a", "999999999-999999999999999999",
    "%d9%a1-%d9%a1", "-net:GBP", "net:", "WzEsImsiXQ",
    "W1siY3VzdG9tZXJzIiwib3JkZXJfY291bnQiLCIiLHRydWVdLFsieCIsImsiXV0", "2026-11-21T12:00:00Z",
    "0001-01-01T00:00%2b14:00", "9999-12-31T23:59:59-14:00", "99999999", "9" * 5_000, "x" * 255, "x" * 256,
    "x" * 10_240, "%f0%9f%98%80" * 255, "%f0%9f%98%80" * 2_560, "%00" * 3_000, "%" * 10_240, "/" * 10_240,
    "a/" * 5_000, "../" * 3_000, "x" * 60_000,
]  # fmt: skip
"""What a client may send: ASCII without spaces and control characters."""

RAW = [
    b"\x00", b"1\x00", b"\x01", b"\t", b"\r", b"\n", b"\r\n\r\n", b" ", b"1 2", b"\x1f", b"\x7f", b"\x80", b"\xff",
    "é".encode(), "😀".encode(), b"\xed\xa0\x80", b"\xed\xa0\xbd\xed\xb8\x80", b"\xc0\xae", b"\xef\xbb\xbf",
    b"\xff" * 10_240, b"x" * 70_000,
]  # fmt: skip
"""What no client may send."""

VALUES = [value.encode() for value in ENCODED] + RAW

OWN_HEADER = "x-frame-options"
"""All answers have it, but those with which aiohttp refuses what is no HTTP."""


class Reply(NamedTuple):
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


async def send(url: str, target: bytes) -> Reply:
    """Ask for an address, whatever it holds."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % target)
        async with asyncio.timeout(20):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Reply(int(first.split()[1]), headers, body)


async def check(url: str, target: bytes) -> Reply:
    """Ask, and fail if the answer is not in good order."""
    reply = await send(url, target)
    told = f"GET {target[:100]!r}: {reply}"
    assert "set-cookie" not in reply.headers, told
    if OWN_HEADER not in reply.headers:
        assert reply.status in {400, 414, 431}, told
        assert not re.fullmatch(rb"[!-~]{1,65000}", target), told
        return reply
    assert reply.status in {200, 303, 400, 404, 409}, told
    if reply.status >= 400:
        assert reply.headers["content-type"] == "application/json; charset=utf-8", told
        answer = json.loads(reply.body)
        assert set(answer) == {"error"}, told
        assert {name: type(value) for name, value in answer["error"].items()} == {"code": str, "message": str}, told
        assert len(answer["error"]["message"]) < 1_000, told
    return reply


@pytest.fixture
async def workers() -> AsyncIterator[Cluster]:
    """Two workers with orders of odd ids and some letters."""
    async with cluster(EVENTS, web_rate=1e6) as running:
        for name in ("0-1", "1-2", "2-3"):
            row = letter(int(name[-1]))
            running.partitions[int(name[0])].tables[LETTERS_TABLE].apply({name: row}, [(name, encode_row(row))])
        yield running


def routes(workers: Cluster) -> list[str]:
    """Return the routes that can be read to their end: streams have none, and show what their pages do."""
    found = workers.runners[0].app.router.routes()
    templates = {route.resource.canonical for route in found if route.method == "GET" and route.resource is not None}
    return sorted(template for template in templates if not template.startswith("/live/"))


def parameters() -> Iterator[tuple[str, str]]:
    """Yield each parameter that the API describes, with an address that takes it."""
    for template, item in description()["paths"].items():
        for parameter in item.get("get", {}).get("parameters", ()):
            if parameter["in"] == "query":
                known = "currency=GBP&" if template == "/api/revenue" and parameter["name"] != "currency" else ""
                yield re.sub(r"\{[^}]*\}", "1", template) + "?" + known, parameter["name"]


async def test_no_id_breaks_an_answer(workers: Cluster) -> None:
    """Of orders, customers, products, letters and whatever else has a name in its address; API and pages."""
    with_names = [template for template in routes(workers) if "{" in template]
    assert {"/api/orders/{id}", "/api/customers/{id}", "/api/products/{id}", "/api/dead-letters/{id}"} <= {*with_names}
    for template in with_names:
        before, _, after = re.sub(r"\{[^}]*\}", "\0", template).encode().partition(b"\0")
        for number, value in enumerate(VALUES):
            await check(workers.urls[number % 2], before + value + after)


async def test_no_parameter_breaks_an_answer(workers: Cluster) -> None:
    """Each that is described, with any value, and any name of a parameter."""
    for address, name in parameters():
        for number, value in enumerate(VALUES):
            await check(workers.urls[number % 2], f"{address}{name}=".encode() + value)
    for value in VALUES:
        await check(workers.urls[0], b"/api/orders?" + value + b"=1")
        await check(workers.urls[0], b"/api/orders/1?" + value)


async def test_no_address_breaks_an_answer(workers: Cluster) -> None:
    """Made of pieces of addresses, of ids and parameters, of API and pages; always the same ones."""
    random = Random(7)
    names = sorted({name for _, name in parameters()} | {"q", "next", "query", "partitions"})
    pieces = [value for value in VALUES if len(value) < 1_000]
    for number in range(3_000):
        template = random.choice(routes(workers)).encode()
        target = re.sub(rb"\{[^}]*\}", lambda _: b"".join(random.choices(pieces, k=random.randint(1, 3))), template)
        query = [random.choice(names).encode() + b"=" + random.choice(pieces) for _ in range(random.randint(0, 3))]
        await check(workers.urls[number % 2], target + b"?" + b"&".join(query))


async def test_an_odd_id_is_answered_for_what_it_is(workers: Cluster) -> None:
    """The order of that very id, not of one near it; what can be the id of nothing is not there."""
    for path, order_id in (
        (b"%e2%80%ae", None),
        (b"..", ".."),
        (b"%2e%2e", ".."),
        (b"a%2fb", "a/b"),
        (b"%25zz", "%zz"),
        (b"%zz", "%zz"),
        (b"%3cscript%3ealert(1)%3c%2fscript%3e", "<script>alert(1)</script>"),
        (b"%c3%a9%e6%bc%a2%f0%9f%98%80", "é漢😀"),
        (b"x" * 255, "x" * 255),
        (b"x" * 256, None),
        (b"1%00", None),
        (b"1%1f1", None),
    ):
        reply = await check(workers.urls[0], b"/api/orders/" + path)
        found = json.loads(reply.body)
        if order_id is None:
            assert (reply.status, found["error"]["code"]) == (404, "unknown_order")
        else:
            assert (reply.status, found["order_id"]) == (200, order_id)


async def test_a_cursor_goes_with_its_list(workers: Cluster) -> None:
    """Page after page gives every row once; in another list it is refused, and one that was made up finds nothing."""
    for sort in ("customer_id", "-customer_id", "-order_count", "first_order_at", "-net:GBP"):
        found, following = [], ""
        while following is not None:
            page = (await workers.get(f"/api/customers?limit=2&sort={sort}&cursor={following}")).json
            found += [row["customer_id"] for row in page["customers"]]
            following = page["next"]
        assert sorted(found) == sorted(event["customer_id"] for event in EVENTS)
    cursor = (await workers.get("/api/customers?limit=2&sort=customer_id")).json["next"]
    for other in ("customers", "customers?sort=-customer_id", "customers?sort=net:GBP", "products?sort=sku"):
        answer = await workers.get(f"/api/{other}{'&' if '?' in other else '?'}cursor={cursor}")
        assert (answer.status, answer.json["error"]["code"]) == (400, "bad_parameter")
    for sort, place in (("order_count", '["x","k"]'), ("customer_id", '[1,"k"]'), ("customer_id", f'[{10**40},"k"]')):
        made_up = urlsafe_b64encode(f'[["customers","{sort}","",true],{place}]'.encode()).decode()
        answer = await workers.get(f"/api/customers?sort=-{sort}&cursor={made_up}")
        assert (answer.status, answer.json) == (200, {"customers": [], "next": None})
