"""Pages for people: whatever stands in ids and records is text on them, links lead back to it, and they change live."""

import asyncio
import contextlib
import json
import logging
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

import pytest
from aiohttp import ClientResponse
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Gauge
from yarl import URL

from app.engine.lane import LaneState
from app.engine.table import encode_row
from app.topics import LETTERS_TABLE, partition_of
from app.web.pages import live
from app.web.pages.charts import HEIGHT, WIDTH, BarChart, bar_chart, line
from app.web.pages.letters import HEX_BYTES, hex_dump
from app.web.pages.live import Asked, LivePages, View
from app.web.pages.rendering import age, live_part
from app.web.reading import costly
from models.letters import Entry, Letter
from tests.unit.test_web_letters import letter
from tests.unit.web_kit import PARTITIONS, Cluster, Engine, Program, cluster, fold
from tools.local_kafka import free_port

HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover='x", "&amp;&lt;", "a/b", "/",
    "//evil", "?q=1#x", "%2F", "%", "%zz", "{{ 7*7 }}", "{% x %}", "é漢😀", "\u202etxt", "a\u2028b", " ", "a b",
    " lead", "\\", "-->", "javascript:alert(1)", "data:text/html,x", "x" * 255, "😀" * 255, "__proto__", "]]>", "...",
    "</textarea></title><b>", "e%00", "+", ";", ",", "=", "live", "redrive", "0-0", "a\u0301", "\ufeff", "~",
    "http://evil", "../../login", "None",
]  # fmt: skip
MENU = ["/", "/orders", "/customers", "/products", "/revenue", "/dead-letters", "/search", "/login"]
VOID = {"meta", "link", "input", "img", "br", "line", "rect", "polyline"}


# --- a browser that looks closely -------------------------------------------------------------------------------------


class Page(HTMLParser):
    """A page taken apart: its links with their texts, its headline, forms and text; fails if it is none."""

    def __init__(self, url: str, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.url = url
        self.html = html
        self.links: list[tuple[str, str]] = []
        self.sources: list[str] = []
        self.forms: list[tuple[str, str]] = []
        self.headline = self.shown = self.stream = self.textarea = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], f"{url}: not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at what could run or load something."""
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs), f"{self.url}: an attribute twice: {attrs}"
        assert not [name for name in given if name.startswith("on") or name == "style"], (self.url, attrs)
        assert tag not in {"iframe", "object", "embed", "base", "style", "img", "b"}, (self.url, tag)
        assert tag != "script" or given == {"src": "/static/live.js", "defer": ""}, (self.url, attrs)
        if tag == "a":
            self.links.append((given["href"], ""))
        if tag in {"script", "link"}:
            self.sources.append(given.get("src", "") or given.get("href", ""))
        if tag == "form":
            self.forms.append((given.get("method", "get"), given["action"]))
        if "formaction" in given:
            self.forms.append(("post", given["formaction"]))
        self.stream = self.stream or given.get("data-source", "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing stays open."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Each tag closes the one that was opened last."""
        assert self._open, f"{self.url}: closed and never opened: {tag}"
        assert self._open.pop() == tag, f"{self.url}: {tag} closes another one"

    def handle_data(self, data: str) -> None:
        """Note text, and whose it is."""
        self.shown += data
        if "a" in self._open:
            href, text = self.links.pop()
            self.links.append((href, text + data))
        if "h1" in self._open:
            self.headline += data
        if "textarea" in self._open:
            self.textarea += data


async def look(workers: Cluster, path: str, worker: int = 0, status: int = 200) -> Page:
    """Look at a page."""
    async with opened(workers, path, worker) as response:
        text = await response.text()
        assert response.status == status, (path, response.status, text[-500:])
        assert response.headers["Content-Type"] == "text/html; charset=utf-8", path
        return Page(path, text)


@asynccontextmanager
async def opened(workers: Cluster, path: str, worker: int = 0, **more: Any) -> AsyncIterator[ClientResponse]:
    """Ask as a browser does, but follow nothing."""
    url = URL(workers.urls[worker] + path, encoded=True)
    headers = {"Accept": "text/html"}
    async with workers.client.get(url, headers=headers, allow_redirects=False, **more) as response:
        yield response


async def post(workers: Cluster, path: str, fields: Mapping[str, str]) -> tuple[int, str]:
    """Send a form; returns status and where it leads."""
    url = URL(workers.urls[0] + path, encoded=True)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
    body = urlencode(fields).encode()
    async with workers.client.post(url, data=body, headers=headers, allow_redirects=False) as response:
        return response.status, response.headers.get("Location", "")


def followed(base: str, link: str) -> str:
    """Return where a browser goes from an address by a link: `.` and `..` are steps there."""
    return urljoin("http://h" + base, link).removeprefix("http://h")


async def all_pages(workers: Cluster, starts: Sequence[str]) -> dict[str, Page]:
    """Look at pages and at all that they lead to, each once; fails if something is not there."""
    seen: dict[str, Page] = {}
    waiting = list(starts)
    while waiting:
        path = waiting.pop().partition("#")[0]
        if path in seen:
            continue
        async with opened(workers, path) as response:
            text = await response.text()
            assert response.status == 200, (path, response.status, text[-300:])
            if not response.headers["Content-Type"].startswith("text/html"):
                continue
        seen[path] = found = Page(path, text)
        for link, _ in found.links:
            assert link.startswith("/"), (path, link)
            assert not link.startswith("//"), (path, link)
            waiting.append(followed(path, link))
        waiting += [followed(path, source) for source in found.sources]
        waiting += [followed(path, action) for method, action in found.forms if method == "get"]
    return seen


# --- a shop in which everything has a hostile id ----------------------------------------------------------------------


def event(event_type: str, order: str, customer: str, moment: str = "12:00:00", **more: Any) -> dict[str, Any]:
    """Return an event; those that create an order have items."""
    if event_type == "created":
        items = [{"sku": order, "qty": 2, "price": "10.00"}]
        more = {"total_amount": "20.00", "currency": "GBP", "items": items} | more
    return {
        "event_type": f"order.{event_type}",
        "event_id": f"{order[:200]} {event_type}",
        "timestamp": f"2026-11-21T{moment}Z",
        "order_id": order,
        "customer_id": customer,
        **more,
    }


def hostile_letter(number: int, odd: str) -> Letter:
    """Return a letter of which everything is as an event or a producer may have it."""
    values = [
        odd.encode(),
        None,
        b"",
        b"\x00\xff" * 40,
        json.dumps({"order_id": odd, "n": 1.5}).encode(),
        b"\r\n</pre>",
    ]
    return letter(
        number,
        state=("dead", "parked", "waiting", "retrying")[number % 4],
        order_id=odd,
        customer_id=odd,
        event_id=odd,
        event_type=odd,
        error=f"got {odd}",
        stack=f"Traceback\n  {odd}",
        key=None if number % 3 == 0 else odd.encode(),
        value=values[number % len(values)],
        headers=((odd, odd.encode()), (odd, None), ("", b""), ("<b>", b"\xff")),
        due_at=1_790_000_000.0,
        mended=odd.encode() if number % 5 == 0 else None,
        history=(Entry(1_790_000_000.0, "failed", odd, odd), Entry(1_790_000_001.0, odd, "", "")),
    )


def add_letters(workers: Cluster, letters: Mapping[str, Letter]) -> None:
    """Put letters in where their records came from."""
    for name, row in letters.items():
        workers.partitions[int(name[0])].tables[LETTERS_TABLE].apply({name: row}, [(name, encode_row(row))])


@pytest.fixture
async def shop() -> AsyncIterator[Cluster]:
    """Two workers; every order, customer, product and letter has a hostile id."""
    events = [event("created", odd, odd) for odd in HOSTILE]
    events += [event("paid", odd, odd, "12:01:00") for odd in HOSTILE]
    events += [event("refunded", HOSTILE[0], HOSTILE[0], "12:59:00", amount="5.00")]
    events += [event("created", "twice", customer, currency="JPY") for customer in HOSTILE[:3]]
    async with cluster(events) as workers:
        add_letters(workers, {f"{n % PARTITIONS}-{n}": hostile_letter(n, odd) for n, odd in enumerate(HOSTILE)})
        yield workers


async def test_every_page_leads_only_to_what_is_there(shop: Cluster) -> None:
    """Each link of each page, followed as a browser does; it leads to the thing whose name it has."""
    pages = await all_pages(shop, [*MENU, "/dead-letters?state=dead,parked,waiting,retrying,resolved", "/orders/twice"])
    kinds = {"orders": "Order ", "customers": "Customer ", "products": "Product ", "dead-letters": "Dead letter "}
    found: dict[str, set[str]] = {kind: set() for kind in kinds}
    for path, page in pages.items():
        for link, text in page.links:
            kind, _, name = urlsplit(link).path[1:].partition("/")
            if name and kind in kinds:
                assert pages[followed(path, link)].headline.startswith(kinds[kind] + text), (path, link)
                found[kind].add(text)
    assert found["orders"] == {*HOSTILE, "twice"}
    assert found["customers"] == set(HOSTILE)
    assert found["products"] == {*HOSTILE, "twice"}
    assert found["dead-letters"] == {f"{n % PARTITIONS}-{n}" for n in range(len(HOSTILE))}


@pytest.mark.parametrize("worker", [0, 1])
async def test_each_thing_is_shown_with_all_of_its_text(shop: Cluster, worker: int) -> None:
    """As it is, and as text only (a page is looked at closely, see `Page`)."""
    for number, odd in enumerate(HOSTILE):
        name = quote(odd, safe="")
        for path in (
            f"/orders/{name}",
            f"/orders/{name}?customer_id={name}",
            f"/customers/{name}",
            f"/products/{name}",
        ):
            page = await look(shop, path, worker)
            assert f" {odd}" in page.headline, path
            assert odd in page.shown
        page = await look(shop, f"/dead-letters/{number % PARTITIONS}-{number}", worker)
        assert page.shown.count(odd) >= 8, odd
        assert f"got {odd}" in page.shown
        assert f"Traceback\n  {odd}" in page.shown


async def test_the_search_finds_each_of_them_and_shows_what_was_asked(shop: Cluster) -> None:
    """By any id; also one that is there three times, and one that is not there."""
    for odd in HOSTILE:
        if odd != odd.strip() or not odd.isprintable():
            continue  # spaces around what somebody types are no part of it
        page = await look(shop, f"/search?q={quote(odd, safe='')}")
        where = [link for link, text in page.links if text == odd or text.startswith(f"{odd} of customer")]
        assert len(where) == (4 if odd == "0-0" else 3), (odd, where)
        for link in where:
            assert f" {odd}" in (await look(shop, link)).headline
    page = await look(shop, "/search?q=%3Cscript%3Enothing")
    assert "Nothing has the id <script>nothing" in page.shown


async def test_an_id_is_found_with_its_spaces_and_around_it() -> None:
    """Spaces may be a part of an id; whoever copies one often has some more."""
    items = [{"sku": "mug", "qty": 2, "price": "10.00"}]  # else products would have these ids too
    events = [event("created", order, "c") | {"items": items} for order in (" spaced ", "plain")]
    async with cluster(events) as workers:
        for text, order_id in ((" spaced ", "%20spaced%20"), (" plain ", "plain"), ("plain", "plain")):
            path = f"{workers.urls[0]}/search?q={quote(text)}"
            async with workers.client.get(path, allow_redirects=False) as response:
                assert response.status == 303, text
                assert response.headers["Location"].startswith(f"/orders/{order_id}?"), text


async def test_letters_lead_to_orders_and_customers_that_only_they_know() -> None:
    """An event of an unknown order is the most common letter; a closed one is still shown with its customer."""
    async with cluster() as workers:
        unknown = {"order_id": "o-1", "customer_id": "c-1"}
        add_letters(workers, {"0-0": letter(0, **unknown), "1-3": letter(3, **unknown)})
        await all_pages(
            workers, ["/dead-letters", "/dead-letters?state=resolved", "/dead-letters/0-0", "/dead-letters/1-3"]
        )


QUERIES = [
    "x=1", "%3Cscript%3E=1", "sort=%3Cscript%3E", "limit=%3Cscript%3E", "limit=0", "limit=99999999999999999999999",
    "cursor=%3Cscript%3E", "currency=%3Cscript%3E", "from=%3Cscript%3E", "to=2026-13-01", "step=%3Cscript%3E",
    "state=%3Cscript%3E", "cause=%00", "after=%3Cscript%3E", "since=%22%3E%3Cscript%3E", "order_id=a&order_id=b",
    "customer_id=%3Cscript%3E&customer_id=x", "=", "&&&", "asked=%3Cscript%3E", "q=%00", "q=%FF", "q=" + "x" * 5_000,
    "order_id=%3Cscript%3E,b", "event_type=%22onx=", "until=0001-01-01", "from=0001-01-01&to=9999-12-31T23:59:59-14:00",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
async def test_whatever_is_asked_for_is_a_page(shop: Cluster, query: str) -> None:
    """200, or an error that names what is wrong with it; never one of ours."""
    for path in (*MENU, "/orders/live", "/customers/live", "/products/live", "/dead-letters/0-0", "/nothing"):
        async with opened(shop, f"{path}?{query}") as response:
            text = await response.text()
            assert response.status in {200, 303, 400, 404}, (path, response.status)
            if response.status != 303:
                Page(path, text)


async def test_an_order_id_of_several_customers_leads_to_each(shop: Cluster) -> None:
    """One page for all of them."""
    page = await look(shop, "/orders/twice")
    assert page.headline == "Orders twice"
    links = [link for link, text in page.links if text == "twice"]
    assert len(links) == 3
    assert {(await look(shop, link)).headline for link in links} == {"Order twice created"}


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/orders/none",
        "/customers/none",
        "/products/none",
        "/dead-letters/0-999",
        "/dead-letters/x",
        "/orders/",
    ],
)
async def test_what_is_not_there_is_a_page_too(shop: Cluster, path: str) -> None:
    """For a person; a program gets JSON, a stream is none."""
    page = await look(shop, path, status=404)
    assert ("/", "To the dashboard") in page.links
    async with shop.client.get(shop.urls[0] + path) as response:
        assert (response.status, "error" in await response.json()) == (404, True)
    async with opened(shop, "/live" + path) as response:
        assert (response.status, response.content_type) == (404, "application/json")


async def test_a_page_can_be_asked_for_without_its_body(shop: Cluster) -> None:
    """HEAD, as monitoring does; of a stream there is none, since its body would never end."""
    for path in MENU:
        async with shop.client.head(shop.urls[0] + path) as response:
            assert (response.status, await response.read()) == (200, b"")
    async with shop.client.head(shop.urls[0] + "/live/") as response:
        assert response.status == 405


@pytest.mark.parametrize("name", ["style.css", "live.js", "icon.svg"])
async def test_style_and_script_are_files(shop: Cluster, name: str) -> None:
    """Of their type; nothing else in the folders is to be had."""
    async with shop.client.get(f"{shop.urls[0]}/static/{name}") as response:
        assert response.status == 200
        kind = {"css": "text/css", "js": "javascript", "svg": "image/svg+xml"}[name.rpartition(".")[2]]
        assert kind in response.headers["Content-Type"]
    for other in ("", "..", ".", "base.html", "../pages/live.py", "..%2flive.py", "%2e%2e/live.py", ".css", "a.css/"):
        async with opened(shop, f"/static/{other}") as response:
            assert response.status == 404, other


# --- while not all is well --------------------------------------------------------------------------------------------


def engine_of(workers: Cluster, number: int) -> Engine:
    """Return the engine of a worker."""
    engine = workers.nodes[number].engine
    assert engine is not None
    return engine


async def _statuses(workers: Cluster, worker: int = 0) -> dict[str, int]:
    """Return the status of each page; whatever it is, it is one."""
    name = quote(HOSTILE[0], safe="")
    paths = [*MENU, "/orders/twice", f"/orders/{name}", f"/customers/{name}", f"/products/{name}", "/dead-letters/0-0"]
    paths += ["/dead-letters/3-3", "/search?q=twice", "/customers?sort=-net:GBP", "/revenue?currency=GBP&step=1d"]
    told = {}
    for path in paths:
        async with opened(workers, path, worker) as response:
            page = Page(path, await response.text())
            told[path] = response.status
            if response.status == 503:
                assert response.headers["Retry-After"] == "1"
                assert "Not ready" in page.headline
    return told


async def test_before_the_group_is_joined_pages_say_so(shop: Cluster) -> None:
    """The dashboard is there, with what is missing; what needs rows is not ready."""
    shop.nodes[0].engine, shop.nodes[0].routes = None, {}
    told = await _statuses(shop)
    assert set(told.values()) == {200, 503}
    assert told["/"] == told["/login"] == told["/search"] == 200
    assert told["/orders"] == told["/revenue"] == told["/dead-letters/0-0"] == 503
    page = await look(shop, "/")
    assert "Dashboard critical" in page.headline
    assert "no worker owns it yet" in page.shown


@pytest.mark.parametrize("state", [LaneState.CLAIMING, LaneState.LOADING, LaneState.FENCED, LaneState.STOPPED])
async def test_while_a_partition_is_on_the_move_pages_say_so(shop: Cluster, state: LaneState) -> None:
    """Those that can do without it are as always."""
    engine_of(shop, 1).states[3] = state
    for worker in (0, 1):
        told = await _statuses(shop, worker)
        assert set(told.values()) == {200, 503}
        assert told["/"] == 200
        page = await look(shop, "/", worker)
        assert "Dashboard warning" in page.headline
        assert f"partition 3 is {state}" in page.shown


@pytest.mark.usefixtures("quick")
async def test_a_partition_that_is_loading_shows_how_far_it_is(shop: Cluster) -> None:
    """Also before it is known how much there is."""
    engine = engine_of(shop, 0)
    status = engine.status
    engine.states[2] = LaneState.LOADING
    for loaded, to_load in ((0, 0), (30, 40)):
        engine.status = lambda of=(loaded, to_load): [  # type: ignore[method-assign, misc]
            lane._replace(loaded=of[0], to_load=of[1]) for lane in status()
        ]
        page = await look(shop, "/")
        assert "<progress" in page.html


async def test_a_silent_worker_costs_no_page_more_than_the_time_limit() -> None:
    """It took the question and never answers."""
    async with cluster([event("created", "o", "c")], seconds=0.2) as workers, Program(None) as silent:
        workers.nodes[0].routes = dict(workers.nodes[0].routes) | {3: silent}
        async with asyncio.timeout(20):
            told = await _statuses(workers)
        assert told["/"] == 200
        assert set(told.values()) <= {200, 404, 503}
        page = await look(workers, "/")
        assert "Dashboard critical" in page.headline
        assert f"no answer from {silent} within 0.2 s" in page.shown


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b'{"partitions": 7}', b'{"partitions": [1]}', b'{"partitions": [{}]}']
)
async def test_a_worker_that_answers_nonsense_is_a_silent_one(body: bytes) -> None:
    """Another program that has its address, or another version: the dashboard tells, and is there."""
    async with cluster([event("created", "o", "c")]) as workers, Program(200, body) as other:
        workers.nodes[0].routes = dict(workers.nodes[0].routes) | {3: other}
        page = await look(workers, "/")
        assert "Dashboard critical" in page.headline
        assert f"{other} answered with something else" in page.shown
        status = (await workers.get("/api/status")).json
        assert [each["partition"] for each in status["missing"]] == [3]


async def test_a_worker_of_an_earlier_version_tells_what_it_can() -> None:
    """While workers are replaced one by one, what it does not say is not known."""
    lacking = ("lag_seconds", "backlog", "letters")
    async with cluster([event("created", "o", "c")]) as workers:
        old = (await workers.get("/internal/status", 1)).json
        told = {"partitions": [{k: v for k, v in each.items() if k not in lacking} for each in old["partitions"]]}
        async with Program(200, json.dumps(told).encode()) as url:
            workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: url, 3: url}
            status = (await workers.get("/api/status")).json
            assert (status["complete"], status["lag"], status["letters"]) == (True, 12, None)
            assert "unknown" in (await look(workers, "/")).shown


async def test_a_dead_worker_is_told(shop: Cluster) -> None:
    """The other one shows what it can."""
    dead = f"http://127.0.0.1:{free_port()}"
    shop.nodes[0].routes = dict(shop.nodes[0].routes) | {1: dead, 3: dead}
    assert set((await _statuses(shop)).values()) == {200, 503}


# --- letters ----------------------------------------------------------------------------------------------------------

DEEP = b"[" * 600 + b"]" * 600
VALUES: dict[str, bytes | None] = {
    "none": None,
    "empty": b"",
    "binary": bytes(range(256)) * 40,
    "half a character": "é".encode()[:1],
    "zeros": bytes(10_000),
    "huge": b'{"a": "' + b"x" * 1_000_000 + b'"}',
    "huge list": b"[" + b"1," * 300_000 + b"1]",
    "deep": DEEP,
    "deeper": b"[" * 100_000,
    "deep objects": b'{"a":' * 400 + b"1" + b"}" * 400,
    "long numbers": b"[1" + b"0" * 5_000 + b", 1e999, -0.0, 1.10]",
    "twice": b'{"a": 1, "a": 2}',
    "escapes": rb'{"a": "\u0041\ud83d\ude00\/"}',
    "half a pair": rb'{"a": "\ud800"}',
    "no JSON": b"<html></textarea></pre><script>alert(1)</script>",
    "lines": b"\n\n{\r\n}\r",
    "text": '{"é": "漢😀\u2028"}'.encode(),
}


@pytest.mark.parametrize("name", VALUES)
async def test_a_letter_is_shown_whatever_its_value_is(name: str) -> None:
    """Alone, in lists, as JSON and live; mended too."""
    value = VALUES[name]
    async with cluster() as workers:
        add_letters(workers, {"0-0": letter(0, value=value), "1-4": letter(4, value=b"{}", mended=value)})
        for path in ("/dead-letters/0-0", "/dead-letters/1-4", "/dead-letters", "/customers/c0", "/search?q=0-0"):
            async with opened(workers, path) as response:
                assert response.status in {200, 303}, path
                if response.status == 200:
                    Page(path, await response.text())
        assert (await workers.get("/api/dead-letters/0-0")).status == 200
        async with streamed(workers, "/live/dead-letters/0-0") as events:
            assert "Dead letter 0-0" in await anext(events)
        page = await look(workers, "/dead-letters/0-0")
        if value:
            assert hex_dump(value[:16]) in page.shown
            left = len(value) - HEX_BYTES
            assert (f"{left:,} more bytes" in page.shown) == (left > 0)
        else:
            assert "No value." in page.shown


@pytest.mark.parametrize("timestamp", [0, -1, 10**15, 10**18, -(2**63), 2**63 - 1, 253_402_300_800_000])
async def test_a_letter_is_shown_whatever_time_its_producer_gave(timestamp: int) -> None:
    """As the number that it is where no calendar has it."""
    async with cluster() as workers:
        add_letters(workers, {"0-0": letter(0, timestamp=timestamp)})
        await look(workers, "/dead-letters/0-0")
        await look(workers, "/dead-letters")


async def test_a_value_is_mended_as_the_page_shows_it(shop: Cluster) -> None:
    """What the form sends unchanged is the event as it was, but for its spaces."""
    add_letters(shop, {"0-800": letter(0, value='{"a":"</textarea>","b":[1.50,"é漢😀"],"c":{}}'.encode())})
    page = await look(shop, "/dead-letters/0-800")
    assert ("post", "/dead-letters/0-800/redrive") in page.forms
    value = page.textarea.removeprefix("\n").replace("\n", "\r\n")  # as a browser sends lines
    assert await post(shop, "/dead-letters/0-800/redrive", {"value": value}) == (
        303,
        "/dead-letters/0-800?asked=redrive",
    )
    ((_, action),) = shop.nodes[0].asked
    assert (action.letters, action.by) == (["0-800"], "web")
    assert json.loads(action.value or b"") == {"a": "</textarea>", "b": [1.5, "é漢😀"], "c": {}}
    assert b"1.50" in (action.value or b"")
    page = await look(shop, "/dead-letters/0-800?asked=redrive")
    assert "Asked for" in page.shown


async def test_forms_ask_for_what_their_buttons_say(shop: Cluster) -> None:
    """One letter, several, and none of what is not possible."""
    page = await look(shop, "/dead-letters")
    assert [action for method, action in page.forms if method == "post"] == [
        "/dead-letters/redrive",
        "/dead-letters/purge",
    ]
    assert await post(shop, "/dead-letters/0-0/purge", {}) == (303, "/dead-letters/0-0?asked=purge")
    assert (await post(shop, "/dead-letters/1-1/redrive", {}))[0] == 409  # parked
    assert (await post(shop, "/dead-letters/0-999/redrive", {}))[0] == 409
    for bad in ({}, {"id": "x"}, {"id": "<script>"}):
        assert (await post(shop, "/dead-letters/redrive", bad))[0] == 400
    assert await post(shop, "/dead-letters/redrive", {"id": "0-4"}) == (303, "/dead-letters?asked=redrive")
    assert [(action.deed, action.letters) for _, action in shop.nodes[0].asked] == [
        ("purge", ["0-0"]),
        ("redrive", ["0-4"]),
    ]


async def test_letters_come_in_pages_that_keep_what_was_chosen(shop: Cluster) -> None:
    """The next page is of the same choice."""
    add_letters(shop, {f"2-{1000 + n}": letter(4 * n, order_id="a&b=c", customer_id=HOSTILE[0]) for n in range(7)})
    path, seen = "/dead-letters?order_id=a%26b%3Dc&state=dead&limit=3", list[str]()
    while path:
        page = await look(shop, path)
        seen += [text for link, text in page.links if re.fullmatch("/dead-letters/[0-9-]+", link)]
        following = [link for link, text in page.links if text == "Next page"]
        path = following[0] if following else ""
    assert seen == [f"2-{1000 + n}" for n in range(7)]


# --- hex dump ---------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=100))
def test_a_hex_dump_holds_every_byte_in_its_place(data: bytes) -> None:
    """Sixteen a line, with their place before and what can be printed of them behind."""
    lines = hex_dump(data).splitlines()
    assert len(lines) == math.ceil(len(data) / 16)
    found = b""
    for number, text in enumerate(lines):
        place, shown = text[:8], text[60:]
        assert int(place, 16) == 16 * number
        part = bytes.fromhex(text[10:58].replace(" ", ""))
        assert len(text) == 60 + len(part) + 2
        assert shown == "|" + "".join(chr(b) if 32 <= b < 127 else "." for b in part) + "|"
        found += part
    assert found == data


def test_a_hex_dump_looks_like_that_of_others() -> None:
    """As `hexdump -C` shows the same bytes."""
    assert hex_dump(b"Hi <b>\x00\xc3\xa9 and 16 more") == (
        "00000000  48 69 20 3c 62 3e 00 c3  a9 20 61 6e 64 20 31 36  |Hi <b>... and 16|\n"
        "00000010  20 6d 6f 72 65                                    | more|"
    )
    assert hex_dump(b"") == ""


# --- charts -----------------------------------------------------------------------------------------------------------


def bucket(gross: str, refunded: str, start: str = "2026-11-21T12:00:00Z") -> dict[str, Any]:
    """Return a bucket of revenue."""
    return {"start": start, "orders": 1, "gross": gross, "refunded": refunded, "net": "0"}


amounts = st.decimals(0, 10**15, places=2, allow_nan=False).map(str) | st.integers(0, 10**17).map(str)


@given(st.lists(st.tuples(amounts, amounts), max_size=80))
def test_a_chart_stays_in_its_frame(pairs: list[tuple[str, str]]) -> None:
    """Whatever comes in and goes back: bars side by side, none higher than the frame, the largest just as high."""
    chart = bar_chart([bucket(*pair) for pair in pairs])
    assert len(chart.bars) == len(pairs)
    end = 0.0
    for bar, pair in zip(chart.bars, pairs, strict=True):
        assert end <= bar.x + 0.01
        end = bar.x + bar.width
        assert end <= WIDTH
        for y, height in ((bar.gross_y, bar.gross_height), (bar.refunded_y, bar.refunded_height)):
            assert 0 <= y <= HEIGHT
            assert 0 <= height <= HEIGHT
            assert y + height == pytest.approx(HEIGHT, abs=0.011)
        assert (bar.gross_height >= bar.refunded_height) == (float(pair[0]) >= float(pair[1])) or math.isclose(
            bar.gross_height, bar.refunded_height, abs_tol=0.011
        )
    if any(float(amount) for pair in pairs for amount in pair):
        assert max(max(bar.gross_height, bar.refunded_height) for bar in chart.bars) == HEIGHT
    assert bool(chart.labels) == bool(pairs)
    assert len(chart.labels) <= min(3, len(pairs) + 1)
    assert all(0 <= x <= WIDTH for x, _ in chart.labels)


def test_a_chart_of_nothing_has_no_bars() -> None:
    """One of nothing but zeros has flat ones; one bar is no wider than a twelfth."""
    assert bar_chart([]) == BarChart([], "0")
    assert bar_chart([]).labels == []
    flat = bar_chart([bucket("0.00", "0.00")] * 2)
    assert [(bar.gross_height, bar.refunded_height) for bar in flat.bars] == [(0.0, 0.0)] * 2
    (one,) = bar_chart([bucket("1.00", "3.00")]).bars
    assert (one.refunded_height, one.gross_height) == (HEIGHT, 60.0)
    assert one.width <= WIDTH / 12
    assert bar_chart([bucket("1234567.50", "0")]).top == "1,234,567.50"


@given(st.lists(st.floats(0, 1e12), max_size=130))
def test_a_line_stays_in_its_frame(values: list[float]) -> None:
    """From the left edge to the right one, the highest value at the top."""
    points = [tuple(map(float, point.split(","))) for point in line(values).split()]
    assert len(points) == len(values)
    assert all(0 <= x <= 240 and 0 <= y <= 40 for x, y in points)
    if len(values) > 1:
        assert (points[0][0], points[-1][0]) == (0, 240)
    if values and max(values) > 0:
        assert min(y for _, y in points) == 0


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ([], "There was none"),
        ([event("created", "o", "c")], "20.00 GBP"),
        ([event("created", "o", "c", total_amount="0.00")], "0.00 GBP"),
        ([event("created", "o", "c", total_amount="5", currency="JPY")], "5 JPY"),
        (
            [
                event("created", "o", "c", timestamp="2024-12-23T00:00:00Z"),
                event("cancelled", "o", "c", timestamp="2024-12-24T00:00:00Z"),
            ],
            "-20.00",
        ),
        ([event("created", "o", "c", timestamp="1970-01-01T00:00:00Z")], "1970-01-01"),
        ([event("created", "o", "c", timestamp="9998-12-31T23:59:59Z")], "9998-12-31"),
    ],
)
async def test_revenue_is_drawn_whatever_there_was(events: list[dict[str, Any]], shown: str) -> None:
    """Nothing, one order, one of nothing, no decimals, more given back than taken, long ago, far ahead."""
    async with cluster(events) as workers:
        page = await look(workers, "/revenue")
        assert shown in page.shown
        for query in (
            "step=1m",
            "step=1h",
            "step=1d",
            "step=1d&currency=GBP",
            "from=2026-11-21",
            "to=2026-11-21",
            "currency=USD",
        ):
            await look(workers, f"/revenue?{query}")
        await look(workers, "/revenue?currency=&step=&from=&to=")
        await look(workers, "/")
        async with streamed(workers, "/live/revenue") as changes:
            assert await anext(changes)


async def test_an_order_of_a_day_to_come_hides_no_other() -> None:
    """A sender's clock was wrong: what came lately is drawn all the same, and what is to come where it is asked for."""
    events = [event("created", "a", "c"), event("created", "b", "c", timestamp="9998-12-31T23:59:59Z")]
    async with cluster(events) as workers:
        for path in ("/revenue", "/revenue?step=1d"):  # the dashboard draws the same
            page = await look(workers, path)
            assert "2026-11-21" in page.shown, path
            assert "9998" not in page.shown, path
        assert "9998-12-31" in (await look(workers, "/revenue?from=2026-01-01T00:00:00Z")).shown


async def test_a_long_time_is_cut_and_says_so() -> None:
    """The last buckets are shown."""
    events = [event("created", f"o{n}", "c", timestamp=f"2026-11-21T{n // 60:02}:{n % 60:02}:00Z") for n in range(100)]
    async with cluster(events) as workers:
        page = await look(workers, "/revenue?step=1m&from=2026-11-21")
        assert "The last 60 of 100 are shown" in page.shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "unknown"),
        (0, "0 s"),
        (119.4, "119 s"),
        (120, "2 min"),
        (7_199, "120 min"),
        (7_200, "2 h"),
        (172_800, "2 d"),
        (1e12, "11574074 d"),
    ],
)
def test_ages_are_told_as_people_say_them(seconds: float | None, words: str) -> None:
    """Roughly."""
    assert age(seconds) == words


# --- streams ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def streamed(workers: Cluster, path: str, worker: int = 0) -> AsyncIterator[AsyncIterator[str]]:
    """Listen to a stream: what it sends as HTML, one at a time; "" for a sign of life."""
    async with opened(workers, path, worker) as response:
        assert response.status == 200, (path, await response.text())
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"

        async def events() -> AsyncGenerator[str, None]:
            buffer = b""
            async for data in response.content.iter_any():
                buffer += data
                *whole, buffer = buffer.split(b"\n\n")
                for each in whole:
                    if each.startswith(b":"):
                        yield ""
                    else:
                        yield json.loads(each.removeprefix(b"data: "))["html"]

        async with contextlib.aclosing(events()) as found, asyncio.timeout(20):
            yield found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let streams look often, and nothing be kept."""
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(costly, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(costly, "SHARE", 1e9)


async def until(condition: Any) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - of any kind
            await asyncio.sleep(0.01)


async def streams_of(workers: Cluster, worker: int = 0) -> float:
    """Return how many streams a worker says it has."""
    async with workers.client.get(workers.urls[worker] + "/metrics") as response:
        (found,) = re.findall(r"^orderflow_web_streams (.+)$", await response.text(), re.MULTILINE)
        return float(found)


async def test_a_stream_begins_with_the_page_as_it_is(shop: Cluster) -> None:
    """Of every page that has one, at once, its ids escaped as on the page."""
    name = quote(HOSTILE[0], safe="")
    paths = [
        "/orders",
        f"/orders/{name}?customer_id={name}",
        f"/customers/{name}",
        f"/products/{name}",
        "/customers?limit=5",
    ]
    paths += [
        "/",
        "/revenue",
        "/products",
        "/dead-letters",
        "/dead-letters/0-0?asked=redrive",
        "/customers?sort=-net:GBP",
    ]
    for path in paths:
        page = await look(shop, path)
        assert page.stream == "/live" + path
        async with streamed(shop, page.stream) as events:
            html = await anext(events)
            Page(path, html)
            assert path == "/" or "oldest" in html or html.strip() in page.html


@pytest.mark.usefixtures("quick")
async def test_a_stream_sends_what_changes_and_nothing_else(shop: Cluster) -> None:
    """Each change once."""
    async with streamed(shop, "/live/orders") as events:
        assert "Stream-1" not in await anext(events)
        for number in range(1, 4):
            fold(shop.partitions, event("created", f"Stream-{number}", "s"))
            html = await anext(events)
            assert f"Stream-{number}" in html
            assert f"Stream-{number + 1}" not in html


@pytest.mark.usefixtures("quick")
async def test_a_stream_without_changes_tells_that_it_lives(shop: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that both sides notice a broken connection; then it ends, and the browser asks again."""
    monkeypatch.setattr(live, "ALIVE_SECONDS", 0.02)
    monkeypatch.setattr(live, "STREAM_SECONDS", 0.5)
    async with streamed(shop, "/live/products") as events:
        told = [each async for each in events]
    assert told[0]
    assert len(told) > 2
    assert set(told[1:]) == {""}


@pytest.mark.usefixtures("quick")
async def test_many_who_look_cost_as_much_as_one(shop: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they look at is rendered once for all of them, as often as it is looked up anew."""
    rendered = list[str]()
    monkeypatch.setattr(costly, "LEAST_SECONDS", 3_600.0)

    def counted(template: str, context: Mapping[str, Any]) -> str:
        rendered.append(template)
        return live_part(template, context)

    monkeypatch.setattr(live, "live_part", counted)
    async with contextlib.AsyncExitStack() as stack:
        events = [await stack.enter_async_context(streamed(shop, "/live/orders")) for _ in range(10)]
        first = [await anext(each) for each in events]
    assert len(set(first)) == 1
    assert rendered == ["orders.html"]


@pytest.mark.usefixtures("quick")
async def test_a_stream_goes_on_when_a_partition_comes_back(shop: Cluster) -> None:
    """What was there last stays meanwhile."""
    engine, looks = engine_of(shop, 1), 0
    rows = engine.rows

    def counted(partition: int) -> Any:
        nonlocal looks
        looks += partition == 3
        return rows(partition)

    async def has_looked() -> bool:
        return looks > 2

    async with streamed(shop, "/live/orders") as events:
        await anext(events)
        engine.states[3] = LaneState.LOADING
        engine.rows = counted  # type: ignore[method-assign]
        fold(shop.partitions, event("created", "Back-again", "s"))
        following = asyncio.ensure_future(anext(events))
        await until(has_looked)
        assert not following.done()
        engine.states[3] = LaneState.RUNNING
        assert "Back-again" in await following


async def test_a_stream_ends_when_its_server_stops(shop: Cluster) -> None:
    """At once, and in good order: a stop waits for nobody who looks, and breaks nothing off."""
    async with streamed(shop, "/live/") as events, streamed(shop, "/live/orders") as others:
        await anext(events)
        await anext(others)
        stopping = asyncio.create_task(shop.runners[0].cleanup())
        assert [each async for each in events] == [each async for each in others] == []
        await stopping


@pytest.mark.usefixtures("quick")
async def test_streams_are_counted_and_their_places_given_back(shop: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """However somebody goes; whoever comes when all places are taken is told to come again."""
    monkeypatch.setattr(live, "MOST_STREAMS", 2)
    async with streamed(shop, "/live/orders") as one, streamed(shop, "/live/products") as other:
        await anext(one)
        await anext(other)
        assert await streams_of(shop) == 2
        async with opened(shop, "/live/orders") as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "10")
            assert (await response.json())["error"]["code"] == "too_many_streams"
        async with opened(shop, "/live/orders/none") as response:
            assert response.status == 404

    await until(lambda: _has_streams(shop, 0))
    async with streamed(shop, "/live/orders") as one:
        assert await anext(one)


@pytest.mark.usefixtures("quick")
async def test_who_takes_nothing_loses_his_place(shop: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is never read from would keep it for ever, and two hundred of them all places."""
    monkeypatch.setattr(live, "TAKE_SECONDS", 0.2)
    numbers = iter(range(10**6))
    monkeypatch.setattr(live, "live_part", lambda *_: f"{next(numbers)}" + "x" * 2_000_000)
    host, port = shop.urls[0].removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(b"GET /live/orders HTTP/1.1\r\nHost: localhost\r\n\r\n")

    await until(lambda: _has_streams(shop, 1))
    await until(lambda: _has_streams(shop, 0))
    writer.close()


@pytest.mark.usefixtures("quick")
async def test_who_goes_while_something_is_sent_is_no_error(
    shop: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Tabs are closed at any time: that is not worth a line in the log."""
    monkeypatch.setattr(live, "live_part", lambda *_: "x" * 5_000_000)
    host, port = shop.urls[0].removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(b"GET /live/orders HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await until(lambda: _has_streams(shop, 1))
    writer.transport.abort()
    await until(lambda: _has_streams(shop, 0))
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def _has_streams(workers: Cluster, count: int) -> bool:
    return await streams_of(workers) == count


@pytest.mark.parametrize(
    "path", ["/live/nothing", "/live/orders/none", "/live/customers/%00", "/live/dead-letters/9-9"]
)
async def test_there_is_no_stream_of_what_is_not_there(shop: Cluster, path: str) -> None:
    """404, in JSON: a script asks."""
    async with opened(shop, path) as response:
        assert (response.status, response.content_type) == (404, "application/json")


async def test_streams_that_are_kept_are_few() -> None:
    """Addresses are anybody's to make."""
    pages = LivePages(Gauge("streams", "", registry=None))

    async def nothing(_asked: Asked) -> View:
        raise AssertionError

    for number in range(3 * live.MOST_KEPT):
        pages._part(Asked("/", {}, {}), f"/?{number}", nothing)
    assert len(pages._parts) == live.MOST_KEPT


def test_hostile_ids_live_in_all_partitions() -> None:
    """Else these tests would show little."""
    assert {partition_of(odd, PARTITIONS) for odd in HOSTILE} == set(range(PARTITIONS))
