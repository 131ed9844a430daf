"""Reading from real workers on real brokers: the same answers everywhere, and none rather than a wrong one."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import pytest

from app.topics import partition_of
from tests.contract.brokers.every import Servers, over
from tests.contract.brokers.server import Server, environment
from tests.waiting import wait_until
from tests.workers import Worker, Workers

PARTITIONS = 4
START_SECONDS = 40
TIME_LIMIT = 2.0
CUSTOMERS = [f"c{n}" for n in range(40)]
ODD = "é/漢 😀"

PRODUCT = {"sku": "mug", "orders": 41, "units_sold": 82, "units_cancelled": 0, "money": {"GBP": {"revenue": "205.00"}}}
DAY = {"start": "2026-11-21T00:00:00Z", "orders": 41, "gross": "205.00", "refunded": "0.00", "net": "205.00"}


class Answer(NamedTuple):
    """An answer over HTTP, and how many seconds it took."""

    status: int
    json: Any
    headers: http.client.HTTPMessage
    seconds: float

    @property
    def message(self) -> str:
        """What an error says."""
        return str(self.json["error"]["message"])


def _get(worker: Worker, path: str) -> Answer:
    begin = time.monotonic()
    connection = http.client.HTTPConnection(urlsplit(worker.url).netloc, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Answer(response.status, json.loads(response.read()), response.headers, time.monotonic() - begin)
    finally:
        connection.close()


def _order(order_id: str, customer_id: str) -> dict[str, Any]:
    return {
        "event_type": "order.created",
        "event_id": f"{customer_id}:{order_id}",
        "timestamp": "2026-11-21T12:00:00Z",
        "order_id": order_id,
        "customer_id": customer_id,
        "total_amount": "5.00",
        "currency": "GBP",
        "items": [{"sku": "mug", "qty": 2, "price": "2.50"}],
    }


ORDERS = [*(_order(f"o{n}", customer) for n, customer in enumerate(CUSTOMERS)), _order("o1", ODD)]


def _settled(workers: list[Worker]) -> bool:
    """Whether every worker says that all is read, and that these share the partitions evenly."""
    for worker in workers:
        try:
            status = _get(worker, "/api/status").json
        except OSError:
            return False
        shares = {each["url"]: len(each["partitions"]) for each in status["workers"]}
        if not status["complete"] or status["lag"] or set(shares) != {worker.url for worker in workers}:
            return False
        if max(shares.values()) - min(shares.values()) > 1:
            return False
    return True


def _settings(server: Server) -> dict[str, str]:
    session_timeout = max(3.0, server.session_timeout)
    return environment(server.settings(partitions=PARTITIONS, session_timeout=session_timeout, broker_timeout=30.0))


def _running(server: Server, folder: Path) -> Workers:
    """Return two workers that have counted these orders."""
    workers = Workers(folder, _settings(server))
    a, b = workers.start(2)
    events = folder / "orders.jsonl"
    events.write_text("\n".join(map(json.dumps, ORDERS)))
    wait_until(lambda: _settled([a, b]), START_SECONDS, "two settled workers", workers.tails)
    sent = a.command("emit", str(events))
    assert sent.returncode == 0, sent.stderr
    wait_until(lambda: _counted(a) == len(ORDERS), START_SECONDS, "all orders to be counted", workers.tails)
    return workers


def _counted(worker: Worker) -> int:
    accepted: int = _get(worker, "/api/status").json["outcomes"]["accepted"]
    return accepted


@pytest.fixture(scope="module", params=over(long=["redis"]))
def server(request: pytest.FixtureRequest, servers: Servers) -> Server:
    """A running server of each broker; Redis differs little from the embedded one here."""
    return servers.get(request.param)


@pytest.fixture(scope="module")
def shared(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Two workers for the tests that only read."""
    with _running(server, tmp_path_factory.mktemp("reading")) as workers:
        yield workers
        workers.check()


@pytest.fixture(params=over(long=["redis", "kafka"]))
def own(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Workers]:
    """Two workers for a test that stops them."""
    with _running(servers.get(request.param), tmp_path) as workers:
        yield workers


def _owner(workers: Workers, customer_id: str) -> Worker:
    partition = partition_of(customer_id, PARTITIONS)
    url = _get(workers.all[0], "/api/status").json["partitions"][partition]["owner"]
    return next(worker for worker in workers.all if worker.url == url)


def _lines(worker: Worker, *arguments: str) -> list[Any]:
    done = worker.command(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_any_worker_answers_for_any_key(shared: Workers) -> None:
    """The very same, as the command line does."""
    a = shared.all[0]
    customers = {customer["customer_id"]: customer for customer in _lines(a, "dump", "customers")}
    orders = {(order["customer_id"], order["order_id"]): order for order in _lines(a, "dump", "orders")}
    assert set(customers) == {*CUSTOMERS, ODD}
    assert set(orders) == {(order["customer_id"], order["order_id"]) for order in ORDERS}
    for worker in shared.all:
        for customer_id, customer in customers.items():
            assert _get(worker, f"/api/customers/{quote(customer_id, safe='')}").json == customer
        for (customer_id, order_id), order in orders.items():
            assert _get(worker, f"/api/orders/{order_id}?customer_id={quote(customer_id)}").json == order
            if order_id != "o1":
                assert _get(worker, f"/api/orders/{order_id}").json == order


def test_totals_are_summed_over_the_workers(shared: Workers) -> None:
    """Over HTTP at each of them, and on the command line."""
    for worker in shared.all:
        assert _get(worker, "/api/products/mug").json == PRODUCT
        assert _get(worker, "/api/revenue?currency=GBP&from=2026-11-21&to=2026-11-22&step=1d").json["buckets"] == [DAY]
    a = shared.all[0]
    assert _lines(a, "show", "products", "mug") == _lines(a, "dump", "products") == [PRODUCT]
    minute = DAY | {"currency": "GBP", "start": "2026-11-21T12:00:00Z"}
    assert _lines(a, "show", "revenue", "GBP/2026-11-21T12:00") == _lines(a, "dump", "revenue") == [minute]
    assert _lines(a, "show", "outcomes", "accepted") == [{"outcome": "accepted", "count": len(ORDERS)}]


def test_the_status_is_that_of_all_workers(shared: Workers) -> None:
    """Every partition has an owner, nothing waits, nothing is missing."""
    a, b = (_get(worker, "/api/status").json for worker in shared.all)
    for status in (a, b):
        for each in status["partitions"]:  # an idle worker may read markers between the two questions
            del each["next_offset"], each["end_offset"]
    assert a == b
    assert sorted(each["url"] for each in a["workers"]) == sorted(worker.url for worker in shared.all)
    assert (a["ready"], a["complete"], a["missing"], a["lag"]) == (True, True, [], 0)
    assert a["outcomes"] == {"accepted": len(ORDERS), "duplicate": 0, "forwarded": 0, "dead_letters": {}}
    for worker in shared.all:
        assert _get(worker, "/healthz").status == _get(worker, "/readyz").status == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/orders/none", 404, "unknown_order"),
        ("/api/orders/o2?customer_id=c1", 404, "unknown_order"),
        ("/api/orders/o1", 409, "ambiguous_order"),
        ("/api/orders/o1?customer=c1", 400, "bad_parameter"),
        ("/api/customers/none", 404, "unknown_customer"),
        ("/api/customers/%00", 404, "unknown_customer"),
        (f"/api/customers/{'x' * 10_240}", 404, "unknown_customer"),
        ("/api/products/none", 404, "unknown_product"),
        ("/api/revenue", 400, "bad_parameter"),
        ("/api/revenue?currency=GBP&step=2m", 400, "bad_parameter"),
        ("/stats", 404, "not_found"),
        ("/table", 404, "not_found"),
    ],
)
def test_a_bad_question_has_a_clear_answer_everywhere(shared: Workers, path: str, status: int, code: str) -> None:
    """None of Faust's own pages among them."""
    for worker in shared.all:
        answer = _get(worker, path)
        assert (answer.status, answer.json["error"]["code"]) == (status, code)


def test_unknown_rows_and_tables_have_exit_codes(shared: Workers) -> None:
    """1 and 2, and a line that says what is wrong."""
    a = shared.all[0]
    unknown = a.command("show", "customers", "none")
    assert (unknown.returncode, unknown.stdout) == (1, b"")
    assert unknown.stderr == b"show: error: there is no 'none' in table customers\n"
    table = a.command("dump", "shops")
    assert (table.returncode, table.stdout) == (2, b"")
    assert b"'orders', 'customers', 'products', 'revenue', 'dead_letters', 'held_orders', 'outcomes'" in table.stderr


def test_a_silent_owner_is_an_honest_503_in_time(own: Workers) -> None:
    """A suspended worker takes questions and never answers. What does not need it is answered as ever."""
    asked = own.all[0]
    theirs = next(customer for customer in CUSTOMERS if _owner(own, customer) is not asked)
    ours = next(customer for customer in CUSTOMERS if _owner(own, customer) is asked)
    silent = _owner(own, theirs)
    missing = [
        each["partition"] for each in _get(asked, "/api/status").json["partitions"] if each["owner"] == silent.url
    ]

    silent.pause()
    answer = _get(asked, "/api/products/mug")
    assert answer.status == 503
    assert answer.seconds < TIME_LIMIT + 1
    assert answer.headers["Retry-After"] == "1"
    assert f"partitions {missing[0]}, {missing[1]}: no answer from {silent.url}" in answer.message
    assert _get(asked, f"/api/customers/{ours}").status == 200
    status = _get(asked, "/api/status")
    assert status.seconds < TIME_LIMIT + 1
    assert (status.json["complete"], status.json["lag"]) == (False, None)
    assert [each["partition"] for each in status.json["missing"]] == missing
    assert _lines(asked, "show", "products", "mug") == [PRODUCT]

    silent.resume()
    wait_until(lambda: _settled(own.all), START_SECONDS, "both workers to be back", own.tails)
    assert _get(asked, "/api/products/mug").json == PRODUCT
    assert _get(asked, f"/api/customers/{theirs}").status == 200


def test_while_partitions_move_an_answer_is_right_or_there_is_none(own: Workers) -> None:
    """From the death of a worker until another has taken its partitions over, a sum is the whole one or a 503."""
    asked, killed = own.all
    (third,) = own.start()
    wait_until(lambda: _settled([asked, killed, third]), START_SECONDS, "a third worker", own.tails)
    killed.kill()
    asked_by = [asked, third]
    seen = set()

    def over() -> bool:
        for worker in asked_by:
            answer = _get(worker, "/api/products/mug")
            assert answer.seconds < TIME_LIMIT + 1
            if answer.status == 200:
                assert answer.json == PRODUCT
            else:
                assert (answer.status, answer.json["error"]["code"]) == (503, "not_ready")
            seen.add(answer.status)
        return _settled(asked_by)

    wait_until(over, START_SECONDS, "the partitions to be taken over", own.tails)
    assert 503 in seen
    assert [_get(worker, "/api/products/mug").json for worker in asked_by] == [PRODUCT] * 2


def test_a_worker_stops_at_once_and_the_state_can_still_be_read(own: Workers) -> None:
    """Neither clients that keep their connections nor those that wait for an answer hold it up."""
    a, b = own.all
    kept = http.client.HTTPConnection(urlsplit(a.url).netloc, timeout=20)
    kept.request("GET", "/healthz")
    kept.getresponse().read()
    b.pause()
    waiting = http.client.HTTPConnection(urlsplit(a.url).netloc, timeout=20)
    waiting.request("GET", "/api/products/mug")
    assert a.stop() < 3.5
    kept.close()
    waiting.close()
    b.kill()
    assert _lines(a, "dump", "products") == [PRODUCT]


def test_a_port_that_is_taken_is_said_in_one_line(server: Server, tmp_path: Path) -> None:
    """A worker that nobody could ask does not start."""
    worker = Worker("late", tmp_path, _settings(server))
    with socket.create_server(("127.0.0.1", worker.port)):
        worker.start()
        wait_until(lambda: not worker.alive, START_SECONDS, "the worker to give up", worker.tail)
    assert worker.exit_code == 2
    log = worker.log.read_text()
    assert f"orderflow: error: the web server cannot listen on 127.0.0.1:{worker.port}" in log
    assert "Traceback" not in log
