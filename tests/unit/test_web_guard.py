"""Who may ask what: token and session, names that the server has, pages of other sites, and how much one may ask."""

import asyncio
import hmac
import io
import logging
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from yarl import URL

from app.engine.table import encode_row
from app.runtime.web import SERVER
from app.settings import Settings
from app.topics import LETTERS_TABLE
from app.web.guard import limits
from app.web.guard.auth import SESSION_COOKIE, WRONG_AT_ONCE, WRONG_PER_SECOND
from app.web.guard.forms import MOST_FIELDS
from app.web.guard.limits import MOST_CLIENTS, Allowance, client_of
from app.web.guard.paths import MOST_PARTS
from app.web.keys import session_key, worker_key
from app.web.routes import HEADERS, add_web
from tests.unit import web_kit
from tests.unit.test_web_letters import letter
from tests.unit.web_kit import Cluster, cluster

TOKEN = "s3cret-ä-token"
FORM = "application/x-www-form-urlencoded"
HTML = {"Accept": "text/html,application/xhtml+xml"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
NONE: Mapping[str, str] = {}

EVENTS = [
    {
        "event_type": "order.created",
        "event_id": "e1",
        "timestamp": "2026-11-21T12:00:00Z",
        "order_id": "o1",
        "customer_id": "c9",
        "total_amount": 1,
        "currency": "GBP",
        "items": [{"sku": "mug", "qty": 1, "price": 1}],
    }
]

PAGES = ["/", "/orders", "/orders/o1", "/customers", "/customers/c9", "/products", "/products/mug", "/revenue"]
PAGES += ["/dead-letters", "/dead-letters/0-0", "/search?q=c9"]
APIS = ["/api/orders/o1", "/api/customers", "/api/customers/c9", "/api/products/mug", "/api/revenue?currency=GBP"]
APIS += ["/api/orders", "/api/dead-letters", "/api/dead-letters/0-0", "/api/dead-letters/stats", "/api/status"]
INSIDE = ["/metrics"]
STREAMS = ["/live/", "/live/customers", "/live/dead-letters/0-0"]


class Reply(NamedTuple):
    """An answer, its body as text."""

    status: int
    headers: Mapping[str, str]
    text: str


async def ask(
    workers: Cluster,
    path: str,
    method: str = "GET",
    body: bytes | io.BytesIO | None = None,
    worker: int = 0,
    headers: Mapping[str, str] = NONE,
) -> Reply:
    """Ask as a program or browser that follows nothing and keeps no cookies."""
    url = URL(workers.urls[worker] + path, encoded=True)
    async with workers.client.request(method, url, headers=headers, data=body, allow_redirects=False) as response:
        return Reply(response.status, response.headers, await response.text(errors="replace"))


async def post(workers: Cluster, path: str, body: bytes | io.BytesIO, headers: Mapping[str, str] = NONE) -> Reply:
    """Post what an address takes: a form, or JSON to the API."""
    return await ask(workers, path, "POST", body, headers={"Content-Type": type_for(path), **headers})


async def post_form(
    workers: Cluster, path: str, fields: Mapping[str, str], headers: Mapping[str, str] = NONE, worker: int = 0
) -> Reply:
    """Send a form as a browser does."""
    return await ask(workers, path, "POST", urlencode(fields).encode(), worker, {"Content-Type": FORM, **headers})


def type_for(path: str) -> str:
    """Return the type of what is posted to an address."""
    return "application/json" if path.startswith("/api") else FORM


async def send(workers: Cluster, request: bytes) -> bytes:
    """Send bytes as they are; returns the beginning of the answer, up to the end of its headers."""
    host, port = workers.urls[0].removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        async with asyncio.timeout(5):
            return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


async def logged_in(workers: Cluster, worker: int = 0) -> str:
    """Log in; returns the cookie as a browser sends it."""
    reply = await post_form(workers, "/login", {"token": TOKEN}, worker=worker)
    assert reply.status == 303
    return reply.headers["Set-Cookie"].partition(";")[0]


def add_letter(workers: Cluster, name: str = "0-0", **more: Any) -> None:
    """Put a letter in where its record came from."""
    row = letter(0, **more)
    workers.partitions[int(name[0])].tables[LETTERS_TABLE].apply({name: row}, [(name, encode_row(row))])


class Hands:
    """A clock for limits that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
async def workers() -> AsyncIterator[Cluster]:
    """A worker that anybody may ask."""
    async with cluster(EVENTS, workers=1) as running:
        add_letter(running)
        yield running


@pytest.fixture
async def guarded() -> AsyncIterator[Cluster]:
    """A worker with a token."""
    async with cluster(EVENTS, workers=1, web_token=TOKEN) as running:
        add_letter(running)
        yield running


# --- the token, and sessions ------------------------------------------------------------------------------------------


async def test_everything_needs_the_token_but_probes_style_and_the_login(guarded: Cluster) -> None:
    """In a header, by whoever has it; everything is answered with it."""
    for path in [*PAGES, *APIS, *INSIDE, *STREAMS[1:]]:
        assert (await ask(guarded, path)).status == 401, path
        assert "Python" not in (await ask(guarded, path)).headers["Server"], path
        if path not in STREAMS:
            assert (await ask(guarded, path, headers=BEARER)).status in {200, 303}, path
    for path in ["/healthz", "/readyz", "/login", "/static/style.css", "/static/live.js"]:
        assert (await ask(guarded, path)).status == 200, path


async def test_workers_have_a_key_of_their_own(guarded: Cluster) -> None:
    """It is good for what workers ask each other alone; the token and a session are not. Reading may be open or not."""
    key = worker_key(SecretStr(TOKEN))
    inside = {"Authorization": f"Bearer {key}"}
    session = {"Cookie": await logged_in(guarded)}
    as_worker = {"Authorization": f"Bearer {session['Cookie'].partition('=')[2]}"}
    for headers, status in ((inside, 200), (BEARER, 401), (session, 401), (as_worker, 401), (NONE, 401)):
        assert (await ask(guarded, "/internal/status", headers=headers)).status == status
    assert (await ask(guarded, "/api/status", headers=inside)).status == 401
    assert TOKEN not in key
    async with cluster(EVENTS, web_token=TOKEN, web_open_reading=True) as open_workers:
        assert (await ask(open_workers, "/internal/status")).status == 401
        assert (await ask(open_workers, "/internal/status", headers=inside)).status == 200


async def test_whoever_guesses_shuts_out_no_worker(guarded: Cluster) -> None:
    """Even from the same address: behind a proxy all have one."""
    guess = {"Authorization": "Bearer guess"}
    assert {(await ask(guarded, "/api/status", headers=guess)).status for _ in range(2 * WRONG_AT_ONCE)} == {401, 429}
    session = {"Cookie": f"{SESSION_COOKIE}={session_key(SecretStr(TOKEN))}"}
    assert (await ask(guarded, "/api/products/mug", headers=session)).status == 200  # which asks the other worker too


@pytest.mark.parametrize("value", [f"{TOKEN}\n", f"  {TOKEN}\r\n"])
async def test_a_line_end_is_no_part_of_the_token(value: str) -> None:
    """A file has one at its end, and no header can bring it."""
    async with cluster(EVENTS, web_token=value) as workers:
        assert (await ask(workers, "/api/products/mug", headers=BEARER)).status == 200


def test_a_blank_token_is_none() -> None:
    """Whoever set it meant something else."""
    with pytest.raises(ValidationError, match="must not be blank"):
        Settings(web_token=SecretStr(" \n"))


@pytest.mark.parametrize(("origin", "secure"), [("https://shop.example", True), ("http://localhost", False)])
async def test_a_session_of_an_encrypted_page_is_never_sent_in_clear(origin: str, secure: bool) -> None:
    """Also where a proxy does the encryption."""
    async with cluster(EVENTS, web_token=TOKEN, web_allowed_hosts="shop.example") as workers:
        headers = {"Origin": origin, "Host": origin.partition("//")[2]}
        reply = await post_form(workers, "/login", {"token": TOKEN}, headers=headers)
        assert reply.status == 303
        assert ("Secure" in reply.headers["Set-Cookie"]) is secure


async def test_a_request_that_cannot_be_read_is_not_logged(guarded: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    """Its line may hold the token, or an id: at no level."""
    caplog.set_level(logging.DEBUG)
    head = await send(guarded, b"GET /secret-id HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer s3cret\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    assert "s3cret" not in caplog.text
    assert "secret-id" not in caplog.text


async def test_whoever_sends_no_whole_request_loses_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing at all, or half of its headers, a byte now and then."""
    monkeypatch.setattr(web_kit, "SERVER", {**SERVER, "keepalive_timeout": SERVER["keepalive_timeout"] / 250})
    async with cluster(EVENTS, workers=1) as workers:
        for start in (b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "):
            reader, writer = await asyncio.open_connection("127.0.0.1", URL(workers.urls[0]).port)
            writer.write(start)
            closed = asyncio.create_task(reader.read())
            async with asyncio.timeout(10):
                while not closed.done():
                    if start:
                        writer.write(b"a")
                    await asyncio.wait([closed], timeout=0.05)
            writer.close()


@pytest.mark.parametrize(
    "path",
    [
        f"/api/status?token={quote(TOKEN)}",
        f"/api/status?access_token={quote(TOKEN)}",
        "/static/../api/status",
        "/static/%2e%2e/api/status",
        "/static%2f..%2fapi/status",
        "/healthz/../api/status",
        "/login/../api/status",
        "/login%2f..%2fapi%2fstatus",
        "//api/status",
    ],
)
async def test_there_is_no_way_around_the_token(guarded: Cluster, path: str) -> None:
    """Neither in the address nor by what is open beside it."""
    reply = await ask(guarded, path)
    assert reply.status in {401, 404}
    assert "partitions" not in reply.text


async def test_a_session_is_a_cookie_that_no_script_and_no_other_site_can_use(guarded: Cluster) -> None:
    """It says nothing of the token, and is good for pages, programs and streams."""
    reply = await post_form(guarded, "/login", {"token": f" {TOKEN} ", "next": "/orders?x=1"})
    assert (reply.status, reply.headers["Location"]) == (303, "/orders?x=1")
    cookie, *flags = reply.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(flags)
    assert TOKEN not in cookie
    for path in [*PAGES, *APIS, *INSIDE]:
        assert (await ask(guarded, path, headers={"Cookie": cookie})).status in {200, 303}, path
    assert (await ask(guarded, "/api/status", headers={"Cookie": f"a=b; {cookie}; c=d"})).status == 200


async def test_a_session_ends_with_the_token() -> None:
    """Whoever changes the token has thrown everybody out, at every worker; until then it is good at each of them."""
    async with cluster(EVENTS, web_token=TOKEN) as old, cluster(EVENTS, web_token=TOKEN + "2") as new:
        cookie = await logged_in(old)
        assert (await ask(old, "/api/status", worker=1, headers={"Cookie": cookie})).status == 200
        assert (await ask(new, "/api/status", headers={"Cookie": cookie})).status == 401


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        TOKEN,
        "0" * 64,
        hmac.new(b"", b"orderflow session", sha256).hexdigest(),
        hmac.new(b"other", b"orderflow session", sha256).hexdigest(),
        hmac.new(TOKEN.encode(), b"", sha256).hexdigest(),
        sha256(TOKEN.encode()).hexdigest(),
        '"\\377\\000"',
    ],
)
async def test_a_forged_session_is_refused(guarded: Cluster, value: str) -> None:
    """Only who knew the token can have one."""
    assert (await ask(guarded, "/api/status", headers={"Cookie": f"{SESSION_COOKIE}={value}"})).status == 401


async def test_half_a_session_and_bytes_that_are_no_text_are_refused(guarded: Cluster) -> None:
    """Never a 500."""
    cookie = await logged_in(guarded)
    assert (await ask(guarded, "/api/status", headers={"Cookie": cookie[:-1]})).status == 401
    for header in (
        b"Cookie: " + SESSION_COOKIE.encode() + b"=\xff\xed\xa0\x80",
        b"Authorization: Bearer \xff\xed\xa0\x80",
    ):
        head = await send(guarded, b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 401")


async def test_logging_out_takes_the_session_away(guarded: Cluster) -> None:
    """From the browser: it is led to the log-in."""
    reply = await post_form(guarded, "/logout", {}, headers={"Cookie": await logged_in(guarded)})
    assert (reply.status, reply.headers["Location"]) == (303, "/login")
    assert f'{SESSION_COOKIE}=""' in reply.headers["Set-Cookie"]
    assert "Max-Age=0" in reply.headers["Set-Cookie"]


async def test_without_a_token_there_is_nothing_to_log_in_to(workers: Cluster) -> None:
    """No cookie is set, whatever is given."""
    assert "nothing asks for it" in (await ask(workers, "/login")).text
    reply = await post_form(workers, "/login", {"token": "anything"})
    assert (reply.status, reply.headers["Location"]) == (303, "/")
    assert "Set-Cookie" not in reply.headers


ELSEWHERE = [
    "//evil", "///evil", "////evil", "/\\evil", "\\\\evil", "\\/evil", "https://evil", "http:evil", "https:/evil",
    "javascript:alert(1)", "data:text/html,x", "evil", "", " /evil", " //evil", "/\t/evil", "/\n/evil", "/\r/evil",
    "\t//evil", "\n//evil", "/\x00/evil", "/\r\nX-Evil: 1", "/%0d%0aX\r\n", "/\u2028/evil", "/\x7f/evil", "//[", "http://[",
    "/\u00ad/evil", "/\u200b/evil", "?x", "#x", "./evil", "../evil",
]  # fmt: skip
HERE = [
    "/",
    "/orders",
    "/orders/a%2Fb?customer_id=%C3%A9",
    "/search?q=//evil",
    "/%0d%0aX",
    "/%5cevil",
    "/.//evil",
    "/?n=http://evil",
]


@pytest.mark.parametrize("address", ELSEWHERE)
async def test_the_login_leads_nowhere_else(guarded: Cluster, address: str) -> None:
    """Whoever made the link; the page of the form does not hand on such an address either."""
    reply = await post_form(guarded, "/login", {"token": TOKEN, "next": address})
    assert (reply.status, reply.headers["Location"]) == (303, "/")
    assert "X-Evil" not in reply.headers
    page = await ask(guarded, f"/login?next={quote(address, safe='')}")
    assert page.status == 200
    assert 'name="next" value="/"' in page.text


@pytest.mark.parametrize("address", HERE)
async def test_the_login_leads_back_to_where_somebody_wanted_to_go(guarded: Cluster, address: str) -> None:
    """Unchanged: percent-encodings are for the next request."""
    reply = await post_form(guarded, "/login", {"token": TOKEN, "next": address})
    assert (reply.status, reply.headers["Location"]) == (303, address)
    origin = URL("http://127.0.0.1:1/login")
    assert origin.join(URL(address, encoded=True)).host == "127.0.0.1"


async def test_what_is_put_into_the_form_is_escaped(guarded: Cluster) -> None:
    """An address may hold anything that prints."""
    page = await ask(guarded, "/login?next=" + quote('/"><script>alert(1)</script>', safe=""))
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_a_wrong_token_is_told_and_not_shown(guarded: Cluster) -> None:
    """The form comes again."""
    reply = await post_form(guarded, "/login", {"token": "wrong-guess", "next": "/orders"}, headers=HTML)
    assert reply.status == 401
    assert "That is not the token" in reply.text
    assert "wrong-guess" not in reply.text
    assert 'value="/orders"' in reply.text
    assert "Set-Cookie" not in reply.headers


# --- guessing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["header", "form"])
async def test_wrong_tokens_are_bounded(guarded: Cluster, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """So many at once, then one every few seconds; even the right one is not looked at before, sessions are."""
    hands = Hands(monkeypatch)

    async def guess(token: str) -> Reply:
        if way == "header":
            return await ask(guarded, "/api/status", headers={"Authorization": f"Bearer {token}"})
        return await post_form(guarded, "/login", {"token": token})

    cookie = await logged_in(guarded)
    assert [(await guess("wrong")).status for _ in range(WRONG_AT_ONCE)] == [401] * WRONG_AT_ONCE
    for token in ("wrong", TOKEN):
        reply = await guess(token)
        assert reply.status == 429
        assert 1 <= int(reply.headers["Retry-After"]) <= 1 / WRONG_PER_SECOND + 1
        assert "Set-Cookie" not in reply.headers
    for path in ("/api/status", "/orders"):
        assert (await ask(guarded, path, headers={"Cookie": cookie})).status == 200
        assert (await ask(guarded, path)).status == 401
    hands.now += 1 / WRONG_PER_SECOND + 0.01
    assert (await guess("wrong")).status == 401
    assert (await guess("wrong")).status == 429
    hands.now += 1 / WRONG_PER_SECOND + 0.01
    assert (await guess(TOKEN)).status in {200, 303}


async def test_a_right_token_costs_nothing(guarded: Cluster) -> None:
    """Programs send it with every request."""
    for _ in range(3 * WRONG_AT_ONCE):
        assert (await ask(guarded, "/healthz", headers=BEARER)).status == 200
        assert (await ask(guarded, "/api/orders/o1", headers=BEARER)).status == 200


async def test_one_who_guesses_shuts_nobody_else_out(guarded: Cluster) -> None:
    """Each address has its own allowance."""
    wrong = {"Authorization": "Bearer wrong"}
    told = [(await ask(guarded, "/api/status", headers=wrong)).status for _ in range(WRONG_AT_ONCE + 1)]
    assert told[-1] == 429
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0), force_close=True)
    async with aiohttp.ClientSession(connector=connector) as other:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with other.get(guarded.urls[0] + "/api/status", headers=headers) as response:
            assert response.status == 200


# --- reading without a token ------------------------------------------------------------------------------------------


async def test_reading_can_be_open_while_changes_need_the_token() -> None:
    """ORDERS_WEB_OPEN_READING: a screen on the wall shows everything, and nobody can press a button on it."""
    async with cluster(EVENTS, workers=1, web_token=TOKEN, web_open_reading=True) as workers:
        add_letter(workers)
        for path in [*PAGES, *APIS, "/metrics"]:
            assert (await ask(workers, path)).status in {200, 303}, path
        assert (await ask(workers, "/internal/status")).status == 401  # nothing bounds how much workers may ask
        deed = b'{"ids":["0-0"]}'
        for path in ("/api/dead-letters/redrive", "/api/dead-letters/purge"):
            assert (await post(workers, path, deed)).status == 401
            assert (await post(workers, path, deed, {"Authorization": "Bearer x"})).status == 401
        for path in ("/dead-letters/redrive", "/dead-letters/purge", "/dead-letters/0-0/redrive", "/logout"):
            assert (await post_form(workers, path, {"id": "0-0"})).status == 401, path
        for method in ("PUT", "DELETE", "PATCH", "PROPFIND"):
            assert (await ask(workers, "/api/orders/o1", method)).status == 401
        assert workers.nodes[0].asked == []
        cookie = await logged_in(workers)
        assert (await post(workers, "/dead-letters/redrive", b"id=0-0", {"Cookie": cookie})).status == 303
        assert (await post(workers, "/api/dead-letters/purge", deed, BEARER)).status == 202
        assert [action.deed for _, action in workers.nodes[0].asked] == ["redrive", "purge"]


async def test_a_change_by_a_method_that_hides_is_none(workers: Cluster) -> None:
    """No header makes a post of what was asked by another method."""
    reply = await ask(workers, "/dead-letters/redrive", headers={"X-HTTP-Method-Override": "POST"})
    assert reply.status in {404, 405}
    assert workers.nodes[0].asked == []


# --- who the request was meant for ------------------------------------------------------------------------------------

OUR_NAMES = [
    "localhost", "localhost:6066", "LOCALHOST", "LocalHost:80", "127.0.0.1", "127.0.0.1:1", "10.0.0.1:6066",
    "[::1]", "[::1]:6066", "[2001:DB8::1]:80", "worker-1.internal", "WORKER-1.internal:99", "shop.example",
    "Shop.Example:443", "status.example:1",
]  # fmt: skip
OTHER_NAMES = [
    "evil.example", "evil.example:6066", "localhost.evil.example", "127.0.0.1.evil.example", "evil-localhost",
    "localhos", "shop.example.evil", "example", "", ":", ":6066", "user@localhost", "localhost@evil", "evil@127.0.0.1",
    "localhost#x", "127.0.0.1/x", "127.0.0.1?x", "localhost\\x", "[::1", "::1", "::1]", "[]", "[evil]", "[localhost]",
    "127.1", "2130706433", "0x7f000001", "127.0.0.1:6066:6066", "localhost:evil", "localhost localhost",
    "localhost,evil", "localhost.", "*", ".", "%6cocalhost", "xn--localhost", "[v1.x]", "[::1%25eth0]",
]  # fmt: skip


def with_own_url(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let workers of the kit be reached under another address, as ORDERS_WEB_URL says."""

    def add_named(web_app: Any, node: Any, _own_url: str, *more: Any) -> None:
        add_web(web_app, node, url, *more)

    monkeypatch.setattr(web_kit, "add_web", add_named)


async def _of_host(workers: Cluster, host: str, path: str = "/orders", method: str = "GET") -> int:
    request = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
    head = await send(workers, request.encode())
    return int(head.split(b" ")[1])


async def test_only_a_request_for_this_server_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of ours and addresses pass; a browser that was led here by a name of somebody else is refused."""
    with_own_url(monkeypatch, "http://worker-1.internal:6066")
    hosts = " shop.example, Status.example:8443 ,"
    async with cluster(EVENTS, workers=1, web_allowed_hosts=hosts) as workers:
        assert {host: await _of_host(workers, host) for host in OUR_NAMES} == dict.fromkeys(OUR_NAMES, 200)
        assert {host: await _of_host(workers, host) for host in OTHER_NAMES} == dict.fromkeys(OTHER_NAMES, 421)
        for path in (
            "/api/status",
            "/metrics",
            "/live/",
            "/static/style.css",
            "/login",
            "/nothing",
            "/internal/status",
        ):
            assert await _of_host(workers, "evil.example", path) == 421
        assert await _of_host(workers, "evil.example", "/dead-letters/redrive", "POST") == 421


@pytest.mark.parametrize("url", ["", "nonsense", "http://", "http://[", "http://u:p@h:1", "//"])
async def test_a_server_without_a_name_has_not_the_empty_one(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Whatever ORDERS_WEB_URL and ORDERS_WEB_HOST are."""
    with_own_url(monkeypatch, url)
    async with cluster(EVENTS, workers=1, web_host="", web_allowed_hosts=" , ,") as workers:
        assert [await _of_host(workers, host) for host in ("", ":1", "evil", "localhost")] == [421, 421, 421, 200]


async def test_probes_are_answered_under_any_name(guarded: Cluster) -> None:
    """Platforms ask as they like, and learn nothing."""
    for host in ("evil.example", "", "10.1.2.3:6066", "[::1"):
        assert await _of_host(guarded, host, "/healthz") == 200
        assert await _of_host(guarded, host, "/readyz") == 200


async def test_one_request_has_one_host(workers: Cluster) -> None:
    """Two of them, or none, are no HTTP."""
    for hosts in (b"", b"Host: localhost\r\nHost: evil.example\r\n"):
        assert (await send(workers, b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")).split(b" ")[1] == b"400"


# --- pages of other sites ---------------------------------------------------------------------------------------------

CHANGES = [
    ("/dead-letters/redrive", b"id=0-0"),
    ("/dead-letters/0-0/purge", b""),
    ("/api/dead-letters/redrive", b'{"ids":["0-0"]}'),
    ("/login", b"token=x"),
    ("/logout", b""),
]
FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "HOST"},
    {"Origin": "//HOST"},
    {"Origin": "http://["},
    {"Origin": "http://HOST.evil.example"},
    {"Origin": "http://evil@HOST"},
    {"Origin": "file://"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "SAME-ORIGIN, cross-site"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://HOST"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
]
OWN: list[dict[str, str]] = [
    {},
    {"Origin": "http://HOST"},
    {"Origin": "https://HOST"},  # behind a proxy that speaks TLS
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://HOST"},
    {"Sec-Fetch-Site": "none"},
]


def _headers(workers: Cluster, headers: Mapping[str, str]) -> dict[str, str]:
    host = workers.urls[0].removeprefix("http://")
    return {name: value.replace("HOST", host) for name, value in headers.items()}


@pytest.mark.parametrize("headers", FOREIGN)
async def test_another_sites_page_changes_nothing(workers: Cluster, headers: Mapping[str, str]) -> None:
    """Neither by forms nor by scripts; it may have led somebody here, to look."""
    sent = _headers(workers, headers)
    for path, body in CHANGES:
        reply = await post(workers, path, body, sent)
        assert (reply.status, '"foreign_origin"' in reply.text) == (403, True), path
    assert workers.nodes[0].asked == []
    assert (await ask(workers, "/orders", headers=sent)).status == 200


@pytest.mark.parametrize("headers", OWN)
async def test_our_own_pages_and_programs_change_what_they_ask_for(
    workers: Cluster, headers: Mapping[str, str]
) -> None:
    """Programs send neither header."""
    for path, body in CHANGES:
        reply = await post(workers, path, body, _headers(workers, headers))
        assert reply.status in {202, 303}, path
    assert [action.deed for _, action in workers.nodes[0].asked] == ["redrive", "purge", "redrive"]


async def test_a_foreign_page_is_refused_before_it_guesses(guarded: Cluster) -> None:
    """Else every visitor of a page would spend the allowance of wrong tokens of his own address."""
    for _ in range(WRONG_AT_ONCE + 1):
        assert (await post(guarded, "/login", b"token=x", {"Origin": "https://evil.example"})).status == 403
    assert (await post_form(guarded, "/login", {"token": TOKEN})).status == 303


# --- what every answer carries ----------------------------------------------------------------------------------------


async def test_every_kind_of_answer_has_the_headers(
    guarded: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Pages, JSON, errors of each kind, redirects, streams, style, metrics, and to whoever may not ask."""

    async def fail(_actions: Any) -> None:
        raise RuntimeError("a fault of our own")

    guarded.nodes[0].asking = fail
    token = {"Authorization": f"Bearer {TOKEN}"}
    asked: list[tuple[str, str, bytes | None, dict[str, str], int]] = [
        ("GET", "/", None, token, 200),
        ("HEAD", "/", None, token, 200),
        ("GET", "/api/status", None, token, 200),
        ("GET", "/metrics", None, token, 200),
        ("GET", "/healthz", None, {}, 200),
        ("GET", "/static/style.css", None, {}, 200),
        ("GET", "/static/style.css", None, {"Range": "bytes=999999999-"}, 416),
        ("GET", "/live/orders", None, token, 200),
        ("GET", "/nothing", None, token, 404),
        ("GET", "/nothing", None, token | HTML, 404),
        ("GET", "/api/orders/nothing", None, token, 404),
        ("GET", "/live/orders/nothing", None, token, 404),
        ("POST", "/api/orders/o1", b"", token, 405),
        ("OPTIONS", "/", None, token, 405),
        ("GET", "/", None, {}, 401),
        ("GET", "/", None, HTML, 303),
        ("GET", "/search?q=c9", None, token, 303),
        ("GET", "/", None, token | {"Expect": "nonsense"}, 417),
        ("POST", "/login", b"token=" + quote(TOKEN).encode(), {"Content-Type": FORM}, 303),
        ("POST", "/login", b"token=x", {"Content-Type": FORM, "Origin": "null"}, 403),
        ("POST", "/login", b"x" * 100_000, {"Content-Type": FORM}, 413),
        ("POST", "/api/dead-letters/redrive", b'{"ids":["0-0"]}', token | {"Content-Type": "application/json"}, 500),
        ("POST", "/dead-letters/redrive", b"id=0-0", token | HTML | {"Content-Type": FORM}, 500),
        ("GET", "/", None, {"Host": "evil.example"}, 421),
    ]
    caplog.set_level(logging.CRITICAL, "app.web.errors")
    for method, path, body, headers, status in asked:
        url = URL(guarded.urls[0] + path, encoded=True)
        async with guarded.client.request(method, url, headers=headers, data=body, allow_redirects=False) as response:
            assert (method, path, response.status) == (method, path, status)
            missing = {name for name, value in HEADERS.items() if response.headers.get(name) != value}
            assert (path, missing) == (path, set())


def test_the_policy_lets_no_script_of_a_page_run() -> None:
    """Nor one of another server, nor a frame; forms go nowhere else."""
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == policy["connect-src"] == "'self'"
    assert HEADERS["X-Content-Type-Options"] == "nosniff"


# --- how much one may ask ---------------------------------------------------------------------------------------------


async def test_one_address_may_ask_so_much_and_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but probes and other workers count, what is refused too; twice the rate at once, then as it says."""
    hands = Hands(monkeypatch)
    async with cluster(EVENTS, workers=1, web_rate=5.0) as workers:
        paths = ["/login", "/nothing", "/", "/api/orders/o1", "/static/style.css"] * 2
        assert 429 not in [(await ask(workers, path)).status for path in paths]
        for path in paths[:5]:
            reply = await ask(workers, path)
            assert (reply.status, reply.headers["Retry-After"]) == (429, "1"), path
        page = await ask(workers, "/", headers=HTML)
        assert (page.status, page.headers["Retry-After"]) == (429, "1")
        assert page.headers["Content-Type"].startswith("text/html")
        for path in ("/healthz", "/readyz", "/internal/status"):
            assert (await ask(workers, path)).status == 200, path
        hands.now += 0.21
        assert (await ask(workers, "/login")).status == 200
        assert (await ask(workers, "/login")).status == 429
        hands.now += 1_000
        assert [(await ask(workers, "/login")).status for _ in range(11)] == [200] * 10 + [429]


@settings(max_examples=200, deadline=None)
@given(
    st.floats(0.01, 100),
    st.floats(1, 200),
    st.lists(st.tuples(st.floats(0, 30), st.sampled_from("ab")), max_size=200),
)
def test_an_allowance_is_never_more_than_it_says(
    per_second: float, burst: float, asked: list[tuple[float, str]]
) -> None:
    """In any span of time: what is saved up, and what comes in it; and whoever waits as long as told gets one."""
    with pytest.MonkeyPatch.context() as patch:
        hands = Hands(patch)
        allowance = Allowance(per_second, burst)
        taken: dict[str, list[float]] = {"a": [], "b": []}
        for pause, client in asked:
            hands.now += pause
            told = allowance.left(client)
            wait = allowance.take(client)
            assert (wait > 0) == (told > 0)
            if wait:
                assert wait == pytest.approx(told)
                assert wait <= 1 / per_second * 1.000001
            else:
                taken[client].append(hands.now)
        for times in taken.values():
            for first in range(len(times)):
                for last in range(first, len(times)):
                    assert last - first + 1 <= burst + (times[last] - times[first]) * per_second + 1e-6
        hands.now += 1.000001 / per_second
        assert allowance.take("a") == 0


def test_addresses_are_forgotten_when_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was silent longest first: a limit must not cost memory without one."""
    hands = Hands(monkeypatch)
    allowance = Allowance(1.0, 1.0)
    for number in range(MOST_CLIENTS):
        assert allowance.take(str(number)) == 0
    hands.now += 1.0
    assert allowance.take("0") == 0
    for number in range(MOST_CLIENTS, MOST_CLIENTS + 50):
        assert allowance.take(str(number)) == 0
    assert set(allowance._left) == {"0", *map(str, range(51, MOST_CLIENTS + 50))}


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%lo", "fe80::2%lo", True),
        ("::1", "10.0.0.1", False),
        ("", "10.0.0.1", False),
    ],
)
def test_a_client_is_an_address_or_a_network_of_one_customer(a: str, b: str, same: bool) -> None:
    """Who has 2^64 addresses is not 2^64 clients; addresses of version 4 that look like version 6 are their own."""
    one, other = (client_of(make_mocked_request("GET", "/").clone(remote=remote)) for remote in (a, b))
    assert (one == other) is same


# --- bodies -----------------------------------------------------------------------------------------------------------

POSTS = ["/api/dead-letters/redrive", "/dead-letters/redrive", "/login"]


@pytest.mark.parametrize("path", POSTS)
async def test_a_body_that_never_ends_holds_up_nothing(
    workers: Cluster, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The request is over when its time is, while others are answered."""
    monkeypatch.setattr(limits, "ANSWER_SECONDS", 0.3)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {type_for(path)}\r\nContent-Length: 100\r\n\r\nto"
    slow = asyncio.create_task(send(workers, head.encode()))
    await asyncio.sleep(0)
    async with asyncio.timeout(8):
        assert (await ask(workers, "/api/orders/o1")).status == 200
        assert (await slow).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("path", POSTS)
async def test_a_body_that_is_too_large_is_refused(workers: Cluster, path: str) -> None:
    """As all errors are told: JSON to programs, a page to people. Packed ones count as what they are unpacked."""
    body = io.BytesIO(b"x" * 1_100_000)
    for headers in (NONE, HTML):
        body.seek(0)
        reply = await post(workers, path, body, headers)
        assert reply.status == 413
        if headers and not path.startswith("/api"):
            assert reply.headers["Content-Type"].startswith("text/html")
            assert "<h1>Body too large" in reply.text
        else:
            assert '"body_too_large"' in reply.text


async def test_the_form_that_anybody_may_send_is_short(workers: Cluster) -> None:
    """Taking a large one apart would cost the time of everybody."""
    reply = await post(workers, "/login", b"&a=1" * 10_000)
    assert (reply.status, '"body_too_large"' in reply.text) == (413, True)
    reply = await post(workers, "/dead-letters/redrive", b"id=0-0" + b"&a=1" * MOST_FIELDS)
    assert (reply.status, '"bad_body"' in reply.text) == (400, True)


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "",
        "x",
        ";;;",
    ],
)
async def test_a_body_of_another_type_is_refused(workers: Cluster, path: str, content_type: str) -> None:
    """Pages of other sites can send some of these without asking first."""
    for body in (b"--x\r\nContent-Disposition: form-data\r\n\r\n0-0\r\n--x--", b"id=0-0", b'{"ids":["0-0"]}'):
        reply = await post(workers, path, body, {"Content-Type": content_type})
        assert (reply.status, '"bad_content_type"' in reply.text) == (415, True)
    assert workers.nodes[0].asked == []


@pytest.mark.parametrize("path", [*POSTS, "/dead-letters/0-0/redrive", "/dead-letters/0-0/purge"])
@pytest.mark.parametrize("parameter", ["nonsense", "utf-16", "utf-7", "rot13", "idna", "hex", "punycode"])
async def test_what_a_type_says_of_characters_is_not_heeded(workers: Cluster, path: str, parameter: str) -> None:
    """Texts are UTF-8 here: nobody chooses the decoder."""
    for body in (b"token=+2AA-&id=0-0&value=+2AA-", b"token=x&id=0-0&value={}", b"{}"):
        reply = await post(workers, path, body, {"Content-Type": f"{type_for(path)}; charset={parameter}"})
        assert reply.status in {202, 303, 400, 401}


@pytest.mark.parametrize("path", [*POSTS, "/dead-letters/0-0/redrive"])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", b"no gzip"), ("deflate", b"\xff\xff\xff"), ("", b"\xff\xfe=%FF%FE"), ("", b"token=%ED%A0%80&value=%FF")],
)
async def test_a_body_that_is_not_what_it_says_is_a_bad_one(
    workers: Cluster, path: str, encoding: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """400, and nothing is asked for."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")
    reply = await post(workers, path, body, {"Content-Encoding": encoding} if encoding else NONE)
    assert (reply.status, '"bad_body"' in reply.text) == (400, True)
    assert workers.nodes[0].asked == []


@pytest.mark.parametrize("path", ["/" * 60_000, "/" + "a/" * 30_000, "/api/orders/" + "../" * 20_000])
async def test_no_route_is_looked_for_at_an_address_of_many_parts(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Each of its beginnings would be looked up, before it is known who asks: half a second of everybody's time."""
    looked_for: list[int] = []
    resolve = web.UrlDispatcher.resolve

    async def noted(router: web.UrlDispatcher, request: web.Request) -> Any:
        looked_for.append(request.path.count("/"))
        return await resolve(router, request)

    monkeypatch.setattr(web.UrlDispatcher, "resolve", noted)
    async with cluster(workers=1, web_token=TOKEN) as workers:
        assert (await ask(workers, path)).status == 401
        assert (await ask(workers, path, headers=BEARER)).status == 404
        parts = quote("/".join("x" * 2 * MOST_PARTS), safe="")
        assert '"unknown_order"' in (await ask(workers, f"/api/orders/{parts}", headers=BEARER)).text
    assert looked_for == [parts.count("%2F") + 3]


@pytest.mark.parametrize("field", ["order_id", "customer_id", "event_type", "key"])
async def test_one_question_costs_no_more_than_a_hundred(workers: Cluster, field: str) -> None:
    """All letters are compared with each value: of tens of thousands, one request would stop the worker for seconds."""
    for path in ("/api/dead-letters", "/dead-letters"):
        assert (await ask(workers, f"{path}?{field}=" + ",".join(map(str, range(100))))).status == 200
        assert (await ask(workers, f"{path}?{field}=" + "a," * 20_000)).status == 200  # two of them
        reply = await ask(workers, f"{path}?{field}=" + ",".join(map(str, range(101))))
        assert (reply.status, f"{field}: takes at most" in reply.text) == (400, True)


# --- what somebody without the token gets -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/nothing", "/search?q=a%26b"])
async def test_a_person_is_led_to_the_login_and_back(guarded: Cluster, path: str) -> None:
    """To the very address that was asked for."""
    reply = await ask(guarded, path, headers=HTML)
    assert reply.status == 303
    assert reply.headers["Location"] == f"/login?next={quote(path, safe='')}"
    form = await ask(guarded, reply.headers["Location"], headers=HTML)
    assert f'name="next" value="{path.replace("&", "&amp;")}"' in form.text


async def test_a_form_that_comes_too_late_leads_to_the_page_that_it_was_on(guarded: Cluster) -> None:
    """A session may have ended meanwhile; what was asked for is not done, and its address takes no GET."""
    for path, back in (("/dead-letters/redrive", "/dead-letters"), ("/dead-letters/0-0/purge", "/dead-letters/0-0")):
        reply = await post_form(guarded, path, {"id": "0-0"}, headers=HTML)
        assert (reply.status, reply.headers["Location"]) == (303, f"/login?next={quote(back, safe='')}")
    assert guarded.nodes[0].asked == []


@pytest.mark.parametrize("path", [*APIS, *INSIDE, *STREAMS, "/api/nothing"])
async def test_a_program_is_told_in_json(guarded: Cluster, path: str) -> None:
    """Whatever it says that it accepts: a stream is asked for by a script."""
    for headers in (NONE, HTML):
        reply = await ask(guarded, path, headers=headers)
        assert (reply.status, '"unauthorized"' in reply.text) == (401, True)
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
        assert reply.headers["Content-Type"].startswith("application/json")


# --- secrets ----------------------------------------------------------------------------------------------------------

SECRETS = ["tok3n-Geheim", "br0ker-pass", "red1s-pass", "kafk4-pass", "guess-Wrong"]


async def test_no_secret_is_in_any_answer_or_log_record(caplog: pytest.LogCaptureFixture) -> None:
    """All addresses, of each kind of asker, while all goes well, a worker is away, and something is broken."""
    token, password, redis, kafka, guess = SECRETS
    caplog.set_level(logging.DEBUG)
    told: list[str] = []

    async def fail(_actions: Any) -> None:
        raise RuntimeError("a fault of our own")

    paths = [*PAGES, *APIS, *INSIDE, "/healthz", "/readyz", "/login", "/nothing", "/api/revenue?currency=x"]
    more: dict[str, Any] = {
        "broker": f"redis://user:{password}@r1:6379/0",
        "redis_password": redis,
        "kafka_password": kafka,
    }
    for state in ("well", "broken", "a worker is away"):
        async with cluster(EVENTS, web_token=token, **more) as workers:
            add_letter(workers)
            cookie = (await post_form(workers, "/login", {"token": token})).headers["Set-Cookie"].partition(";")[0]
            if state == "broken":
                workers.nodes[0].asking = fail
            if state == "a worker is away":
                workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: "http://127.0.0.1:1"}
            for headers in (
                {"Authorization": f"Bearer {token}"},
                {"Authorization": f"Bearer {token}", **HTML},
                {"Cookie": cookie},
                {"Authorization": f"Basic {guess}"},
                {"Authorization": f"Bearer {guess}", **HTML},
            ):
                for path in paths:
                    told += map(str, await ask(workers, path, headers=headers))
                for path, body in CHANGES[:3]:
                    told += map(str, await post(workers, path, body, headers))
                given = guess if guess in str(headers) else token
                told += map(str, await post_form(workers, "/login", {"token": given, "next": "//x"}, headers))
    assert len(told) > 500
    assert not [text for text in told if "a fault of our own" in text]
    told += [record.getMessage() + str(record.args) + (record.exc_text or "") for record in caplog.records]
    assert "a fault of our own" in caplog.text
    told.append(caplog.text)
    for secret in SECRETS:
        assert not [text for text in told if secret in text], secret


def test_settings_show_no_secret() -> None:
    """However they are printed."""
    token, password, redis, kafka, _ = SECRETS
    made = Settings(
        web_token=token,  # type: ignore[arg-type]
        broker=f"redis://user:{password}@r1:6379/0",
        redis_password=redis,  # type: ignore[arg-type]
        kafka_password=kafka,  # type: ignore[arg-type]
    )
    for secret in (token, redis, kafka):
        assert secret not in f"{made!r} {made} {made.model_dump()}"
    assert password not in made.broker_shown
