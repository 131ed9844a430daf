"""Workers that ask each other: an answer is whole or a 503 that says what is missing, in time, and never passed on."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.engine.errors import Unusable
from app.engine.lane import LaneState
from app.settings import Settings
from app.views import VIEWS
from app.web.guard.auth import refuse_if_open
from app.web.reading.queries import KINDS, ByKey
from app.web.reading.ranking import ByRank
from tests.unit.web_kit import Cluster, Engine, Node, Program, cluster, serve
from tools.local_kafka import free_port

# Customer c4 lives in partition 2, c9 in 0, c2 in 1, c5 in 3. Worker 0 owns 0 and 2, worker 1 owns 1 and 3.
AT_0, AT_1 = "c9", "c2"


def _created(customer: str) -> dict[str, Any]:
    return {
        "event_type": "order.created",
        "event_id": "1",
        "timestamp": "2026-11-21T12:00:00Z",
        "order_id": "1",
        "customer_id": customer,
        "total_amount": 1,
        "currency": "GBP",
        "items": [{"sku": "mug", "qty": 1, "price": 1}],
    }


EVENTS = [_created(customer) for customer in ("c9", "c2", "c4", "c5")]
SUMS = ["/api/products/mug", "/api/products/none", "/api/revenue?currency=GBP", "/api/orders/1", "/api/orders/none"]


MUG = '{"table":"products","key":"mug"}'


@pytest.fixture
async def workers() -> AsyncIterator[Cluster]:
    """Two workers, two partitions each."""
    async with cluster(EVENTS) as running:
        yield running


async def _refused(workers: Cluster, path: str, worker: int = 0) -> str:
    answer = await workers.get(path, worker)
    assert (answer.status, answer.json["error"]["code"]) == (503, "not_ready"), path
    assert answer.headers["Retry-After"] == "1"
    message: str = answer.json["error"]["message"]
    return message


@pytest.mark.parametrize("state", [LaneState.CLAIMING, LaneState.LOADING, LaneState.FENCED, LaneState.STOPPED])
async def test_a_partition_that_is_not_running_is_named(workers: Cluster, state: LaneState) -> None:
    """At its owner and at any other worker; what does not need it is answered."""
    assert workers.nodes[1].engine is not None
    workers.nodes[1].engine.states[3] = state
    for worker in (0, 1):
        for path in SUMS:
            message = await _refused(workers, path, worker)
            assert f"partition 3 is {state}" in message
            assert "partition 1" not in message
        assert (await workers.get(f"/api/customers/{AT_1}", worker)).status == 200
        assert f"partition 3 is {state}" in await _refused(workers, "/api/customers/c5", worker)


async def test_nothing_is_answered_before_the_group_is_joined(workers: Cluster) -> None:
    """Neither rows nor that there are none."""
    workers.nodes[0].engine = None
    workers.nodes[0].routes = {}
    for path in [*SUMS, f"/api/customers/{AT_0}", f"/api/customers/{AT_1}"]:
        assert "no worker owns it yet" in await _refused(workers, path)


async def test_a_partition_without_an_owner_is_named(workers: Cluster) -> None:
    """Whatever the others would say."""
    workers.nodes[0].routes = {p: url for p, url in workers.nodes[0].routes.items() if p != 1}
    assert await _refused(workers, "/api/products/mug") == "partition 1: no worker owns it yet"


async def test_a_dead_worker_is_noticed_at_once(workers: Cluster) -> None:
    """Its partitions are named, and where it was."""
    dead = f"http://127.0.0.1:{free_port()}"
    workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: dead, 3: dead}
    message = await _refused(workers, "/api/products/mug")
    assert message.startswith(f"partitions 1, 3: no answer from {dead}")
    assert (await workers.get(f"/api/customers/{AT_0}")).status == 200


async def test_a_silent_worker_costs_the_time_limit_and_no_more() -> None:
    """It took the question and never answers."""
    async with cluster(EVENTS, seconds=2.5) as workers, Program(None) as silent:
        workers.nodes[0].routes = dict(workers.nodes[0].routes) | {3: silent}
        async with asyncio.timeout(7.5):
            message = await _refused(workers, "/api/products/mug")
        assert message == f"partition 3: no answer from {silent} within 2.5 s"


async def test_all_that_is_missing_is_named(workers: Cluster) -> None:
    """Not only what was found first."""
    dead = f"http://127.0.0.1:{free_port()}"
    workers.nodes[0].routes = dict(workers.nodes[0].routes) | {3: dead}
    assert workers.nodes[1].engine is not None
    workers.nodes[1].engine.states[1] = LaneState.LOADING
    message = await _refused(workers, "/api/revenue?currency=GBP")
    assert message.startswith("partition 1 is loading")
    assert f"partition 3: no answer from {dead}" in message


async def test_a_question_is_never_passed_on(workers: Cluster) -> None:
    """Two workers that each believe the other to be the owner do not send a question to and fro."""
    for number, node in enumerate(workers.nodes):
        assert node.engine is not None
        del node.engine.states[number]
        node.routes = dict.fromkeys(range(4), workers.urls[1 - number])
    async with asyncio.timeout(10):
        for worker in (0, 1):
            assert "is not owned by this worker" in await _refused(workers, f"/api/customers/{AT_0}", worker)
            assert "is not owned by this worker" in await _refused(workers, f"/api/customers/{AT_1}", worker)


async def test_a_worker_does_not_ask_itself(workers: Cluster) -> None:
    """When it lost a partition and has not heard yet to whom."""
    assert workers.nodes[0].engine is not None
    del workers.nodes[0].engine.states[0]
    message = await _refused(workers, f"/api/customers/{AT_0}")
    assert message.startswith("partition 0: it is on its way to another worker, or one has the same address")


async def test_half_of_what_is_asked_is_nothing(workers: Cluster) -> None:
    """A worker that owns one of two partitions asked for does not answer for that one alone."""
    answer = await workers.get(f"/internal/rows/key?partitions=0,1&query={MUG}")
    assert answer.status == 503
    assert "partition 1 is not owned by this worker" in answer.json["error"]["message"]


async def test_a_worker_of_another_application_is_no_peer(workers: Cluster) -> None:
    """An address may have been given to another program in the meantime."""
    other = Node(Settings(app_id="other", partitions=4), Engine(workers.partitions, range(4)), {})
    url = await serve(workers, other, 5)
    workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: url}
    assert "421: this is a worker of other-state" in await _refused(workers, f"/api/customers/{AT_1}")
    status = (await workers.get("/api/status")).json
    assert [each["partition"] for each in status["missing"]] == [1]


@pytest.mark.parametrize("body", [b"", b"no JSON", b'{"error": 1}', b"[1]", b"\xff"])
@pytest.mark.parametrize("status", [404, 500])
async def test_whatever_else_answers_is_no_peer(workers: Cluster, status: int, body: bytes) -> None:
    """Another program altogether."""
    async with Program(status, body) as url:
        workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: url}
        assert f"{url} answered {status}" in await _refused(workers, f"/api/customers/{AT_1}")
        assert [each["partition"] for each in (await workers.get("/api/status")).json["missing"]] == [1]


async def test_an_address_that_is_none_is_no_error_of_the_server(workers: Cluster) -> None:
    """ORDERS_WEB_URL of another worker may be anything."""
    for url in ("nonsense", "http://", "http://[::1", "ftp://127.0.0.1", "http://no such host"):
        workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: url}
        assert f"no answer from {url}" in await _refused(workers, f"/api/customers/{AT_1}")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ('/internal/rows/key?partitions=0&query={"table":"nothing","key":"a"}', 404),
        (f"/internal/rows/colour?partitions=0&query={MUG}", 404),
        ("/internal/rows/key?partitions=0", 400),
        ('/internal/rows/key?partitions=0&query={"table":"products"}', 400),
        (f"/internal/rows/key?query={MUG}", 400),
        (f"/internal/rows/key?partitions=0,x&query={MUG}", 400),
        (f"/internal/rows/key?partitions=99&query={MUG}", 503),
        (f"/internal/rows/second-key?partitions=0&query={MUG}", 200),
        ('/internal/rows/range?partitions=0&query={"table":"revenue","first":"a","end":"b"}', 400),
        ('/internal/rows/range?partitions=0&query={"table":"revenue","first":"a","end":"b","width":"x"}', 400),
        ('/internal/rows/rank?partitions=0&query={"sort":["orders","x","",false],"after":null,"most":1}', 400),
        ('/internal/rows/selection?partitions=0&query={"selection":{},"after":"x","most":1}', 400),
        ('/internal/rows/key?partitions=0&query={"table":"orders","key":"a","more":' + "[" * 20_000, 400),
    ],
)
async def test_a_worker_of_another_version_gets_a_clear_answer(workers: Cluster, path: str, status: int) -> None:
    """Never a 500."""
    assert (await workers.get(path)).status == status


@pytest.mark.parametrize("table", VIEWS)
async def test_every_kind_of_query_can_be_asked_of_every_table(workers: Cluster, table: str) -> None:
    """Whatever a worker asks, another one is not surprised."""
    asked: dict[str, dict[str, Any]] = {
        "key": {"key": "a"},
        "second-key": {"key": "o1"},
        "newest": {"prefix": "", "most": 3},
        "text": {"text": "mug", "most": 3},
        "range": {"first": "", "end": "~", "width": 3},
        "selection": {"selection": {}, "after": "", "most": 3},
        "count": {"now": 1.0},
        "all": {},
        "changed": {"most": 3},
    }
    assert set(asked) == set(KINDS) - {ByRank.kind}, "each has its line here; rankings refuse what is not sorted"
    for kind, query in asked.items():
        path = f"/internal/rows/{kind}?partitions=0,2&query={json.dumps({'table': table, **query})}"
        async with workers.client.get(workers.urls[0] + path) as response:
            assert response.status == 200, kind


async def test_a_partition_that_is_named_twice_counts_once(workers: Cluster) -> None:
    """A sum that has a part twice would be wrong."""
    path = f"{workers.urls[0]}/internal/rows/key?query={MUG}&partitions="
    async with workers.client.get(path + "0,0,2,2") as twice, workers.client.get(path + "0,2") as once:
        assert await twice.read() == await once.read() != b""


async def test_a_redirect_is_no_answer(workers: Cluster) -> None:
    """Workers send none: whoever does shall not be brought the workers' key to another place."""
    async with (elsewhere := Program(200, b"[]")) as target, Program(302, headers={"Location": target}) as url:
        workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: url}
        assert f"{url} answered 302" in await _refused(workers, f"/api/customers/{AT_1}")
        assert not elsewhere.asked.is_set()


async def test_rows_of_another_version_are_no_answer(workers: Cluster) -> None:
    """Whoever asked is told so."""
    async with Program(200, b'[["mug",["of","another","form"]]]') as url:
        workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: url}
        assert f"{url} answered with rows of another version" in await _refused(workers, f"/api/customers/{AT_1}")


async def test_a_worker_stops_while_it_waits_for_another() -> None:
    """Whoever asked is told so; nobody waits for the time limit."""
    async with cluster(EVENTS, seconds=60) as workers, (program := Program(None)) as silent:
        workers.nodes[0].routes = dict(workers.nodes[0].routes) | {3: silent}
        asked = asyncio.create_task(workers.get("/api/products/mug"))
        await asyncio.wait_for(program.asked.wait(), 5)
        async with asyncio.timeout(5):
            await workers.runners[0].cleanup()
            answer = await asked
        assert answer.status == 503


async def test_a_worker_stops_without_waiting_for_idle_clients() -> None:
    """Browsers and load balancers keep their connections for minutes."""
    async with cluster(EVENTS) as workers:
        port = int(workers.urls[0].rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(5):
            await workers.runners[0].cleanup()
            while await reader.read(1 << 16):
                pass
        writer.close()


# --- the token ------------------------------------------------------------------------------------------------------

TOKEN = "s3cret-ä"


async def test_with_a_token_nothing_is_told_without_it() -> None:
    """Except to probes; not even what there is."""
    async with cluster(EVENTS, web_token=TOKEN) as workers:
        paths = ["/api/customers/c9", "/api/status", "/internal/status", "/", "/nothing", "/%61pi/status", "/metrics"]
        wrong = ["", f"Basic {TOKEN}", TOKEN]
        for path, guesses in [*((path, wrong) for path in paths), (paths[0], ["Bearer", "Bearer s3cret", "Bearer x"])]:
            for given in guesses:
                answer = await workers.get(path, Authorization=given)
                assert (answer.status, answer.json["error"]["code"]) == (401, "unauthorized")
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert (await workers.get("/healthz")).status == 200
        assert (await workers.get("/readyz")).status == 200


async def test_workers_show_each_other_their_token() -> None:
    """So that one answers for all."""
    async with cluster(EVENTS, web_token=TOKEN) as workers:
        for scheme in ("Bearer", "bearer"):
            answer = await workers.get("/api/products/mug", Authorization=f"{scheme} {TOKEN}")
            assert answer.json["orders"] == 4
        status = await workers.get("/api/status", Authorization=f"Bearer {TOKEN}")
        assert status.json["complete"]


async def test_workers_with_different_tokens_say_so() -> None:
    """An operator's mistake that is easily made."""
    async with cluster(EVENTS, web_token="s3cret") as workers:
        node = Node(Settings(partitions=4, web_token="other"), Engine(workers.partitions, [1]), {})  # type: ignore[arg-type]
        url = await serve(workers, node, 5)
        workers.nodes[0].routes = dict(workers.nodes[0].routes) | {1: url}
        answer = await workers.get(f"/api/customers/{AT_1}", Authorization="Bearer s3cret")
        assert answer.status == 503
        assert "ORDERS_WEB_TOKEN" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("host", "token", "refused"),
    [
        ("127.0.0.1", None, False),
        ("localhost", None, False),
        ("::1", None, False),
        ("0.0.0.0", None, True),  # noqa: S104 - nothing is bound
        ("", None, True),
        ("shop.example", None, True),
        ("0.0.0.0", "s3cret", False),  # noqa: S104 - nothing is bound
    ],
)
def test_an_open_door_is_refused(host: str, token: str | None, refused: bool) -> None:
    """Nobody finds out later that all of the network could read and change everything."""
    settings = Settings(web_token=token)  # type: ignore[arg-type]
    if refused:
        with pytest.raises(Unusable, match="ORDERS_WEB_TOKEN"):
            refuse_if_open(settings, host)
    else:
        refuse_if_open(settings, host)


def test_a_query_is_a_value() -> None:
    """So that it can be sent, logged and compared."""
    assert ByKey("products", "mug") == ByKey("products", "mug")
