"""The server goes away, comes back, hangs, forgets: workers go on or say why not, and what they count stays exact."""

import asyncio
import itertools
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.engine.broker import Lease
from app.engine.errors import Fenced, Unavailable, Unknown
from app.engine.step import Output
from tests.contract.space import Space, loaded
from tests.integration.redis_kit import TWO_MAKES, RedisNode, seconds_since
from tests.integration.redis_run import Run
from tests.proxy import Proxy
from tests.waiting import wait_until


@pytest.fixture(scope="module", params=TWO_MAKES)
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisNode]:
    """A server that is only cut off, never killed."""
    with RedisNode(tmp_path_factory.mktemp("node"), request.param) as running:
        yield running


@pytest.fixture(params=TWO_MAKES)
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisNode]:
    """A server of the test's own."""
    with RedisNode(tmp_path / "own", request.param) as running:
        yield running


# --- cut connections --------------------------------------------------------------------------------------------------

STEPS = 100


@pytest.mark.parametrize("seed", range(3))
async def test_commits_that_are_cut_off_at_random_are_there_once(node: RedisNode, seed: int) -> None:
    """Before the server has them, in the middle, or before its answer is back: the next claim finds out."""
    with Proxy(node.port, seed) as proxy:
        space = Space(node, broker=proxy.broker)
        await space.prepare()
        proxy.trouble = 0.05
        for number in itertools.count():
            if await _tried(space) == STEPS:
                break
            assert number < 50 * STEPS
        assert proxy.cuts > STEPS / 20
        proxy.trouble = 0
        state = await space.state()
        assert state.rows == {("t", "a"): b"%d" % STEPS, ("u", "a"): b"%d" % STEPS}
        assert await space.values(space.topics.order_updates) == [b"%d" % step for step in range(STEPS)]
        assert await space.values(space.topics.dead_letters) == [b"%d" % step for step in range(STEPS)]


async def _tried(space: Space) -> int:
    try:
        async with asyncio.timeout(20):
            return await _commit_on(space)
    except (Unknown, Fenced, Unavailable):
        return -1


async def _commit_on(space: Space) -> int:
    """Go on where the state says that we are, as long as it works."""
    async with space.holding() as lease:
        done = await _count_of(lease)
        while done < STEPS:
            row = b"%d" % (done + 1)
            outputs = [
                Output(topic, 0, b"k", b"%d" % done)
                for topic in (space.topics.order_updates, space.topics.dead_letters)
            ]
            await lease.commit(0, [("t", [("a", row)]), ("u", [("a", row)])], outputs)
            done += 1
        return done


async def _count_of(lease: Lease) -> int:
    rows = await loaded(lease)
    assert rows.get(("t", "a")) == rows.get(("u", "a"))
    return int(rows.get(("t", "a"), b"0"))


@pytest.mark.parametrize("seed", range(2))
async def test_a_sender_that_is_cut_off_at_random_sends_everything_once(node: RedisNode, seed: int) -> None:
    """Also what the server had taken already when its answer was lost."""
    with Proxy(node.port, seed) as proxy:
        space = Space(node, broker=proxy.broker, broker_timeout=60)
        async with space.transport.open_sender(space.settings) as sender:
            proxy.trouble = 0.1
            for number in range(40):
                await sender.send(space.topics.orders, b"k", b"%d" % number)
                await sender.flush()
        assert proxy.cuts > 3
        proxy.trouble = 0
        assert await space.values(space.topics.orders) == [b"%d" % number for number in range(40)]


def test_workers_whose_connections_are_cut_go_on(node: RedisNode) -> None:
    """By the server (CLIENT KILL), by the network, or at one end only."""
    with Proxy(node.port) as proxy, Run(node, workers=2, broker=proxy.broker) as run:
        for cut in (lambda: node.command("CLIENT", "KILL", "TYPE", "normal"), proxy.cut_all, proxy.half_close_all):
            run.send(300)
            cut()
            run.send(300)
            cut()
            run.wait_until_counted()
        run.check()


@pytest.mark.long
def test_a_network_that_holds_everything_back_is_waited_for(node: RedisNode) -> None:
    """What was under way arrives late, behind what was done instead: it is refused then."""
    with Proxy(node.port) as proxy, Run(node, workers=2, broker=proxy.broker, broker_timeout=12) as run:
        run.send(100)
        run.wait_until_counted()
        proxy.hold()
        with ThreadPoolExecutor() as sending:
            sent = sending.submit(run.send, 200)
            wait_until(lambda: "No heartbeat" in run.output(), 30, "the workers to notice", run.output)
            proxy.let_go()
            sent.result()
        run.wait_until_counted()
        run.check()


# --- the server dies --------------------------------------------------------------------------------------------------


def test_a_server_that_is_killed_and_comes_back_is_gone_on_with(own: RedisNode) -> None:
    """With everything that it had acknowledged."""
    with Run(own, workers=2) as run:
        for _ in range(3):
            run.send(300)
            own.kill()
            own.start()
        run.send(300)
        run.wait_until_counted()
        run.check()


@pytest.mark.long
def test_a_server_that_hangs_is_gone_on_with(own: RedisNode) -> None:
    """Longer than the session time-out: nobody is dead for it, as nobody could be told alive."""
    with Run(own, workers=2, broker_timeout=12) as run:
        run.send(500)
        own.pause()
        wait_until(lambda: "No heartbeat" in run.output(), 20, "the workers to notice", run.output)
        own.resume()
        run.send(500)
        run.wait_until_counted()
        run.check()


@pytest.mark.long
def test_a_server_that_stays_away_ends_the_worker(own: RedisNode) -> None:
    """After ORDERS_BROKER_TIMEOUT, not before: exit code 3 and one line that names the server and the setting."""
    with Run(own, broker_timeout=6) as run:
        run.send(10)
        (worker,) = run.workers
        own.kill()
        begin = time.monotonic()
        assert worker.wait(6 + 8) == Unavailable.exit_code, worker.output
        assert seconds_since(begin) > 5
        assert len(worker.errors) == 1, worker.output
        assert str(own.port) in worker.errors[0]
        assert "Traceback" not in worker.output, worker.output
        own.start()
        run.workers.clear()
        run.start_worker()
        run.send(10)
        run.wait_until_counted()
        run.check()


@pytest.mark.long
def test_an_outage_shorter_than_the_time_out_ends_nobody(own: RedisNode) -> None:
    """Almost as long, even."""
    with Run(own, broker_timeout=8) as run:
        own.kill()
        begin = time.monotonic()
        wait_until(lambda: seconds_since(begin) > 6, 8, "most of the time-out to pass")
        own.start()
        run.send(10)
        run.wait_until_counted()
        run.check()


# --- the server forgets -----------------------------------------------------------------------------------------------


def test_a_server_that_lost_everything_begins_anew(own: RedisNode) -> None:
    """State, offsets and topics are gone together, so what is counted from then on is right; a line tells of it."""
    with Run(own) as run:
        run.send(300)
        run.wait_until_counted()
        own.kill()
        shutil.rmtree(own.folder / "appendonlydir")
        own.start()
        run.sent = 0
        wait_until(lambda: "went back" in run.output(), 20, "a line about it", run.output)
        run.send(200)
        run.wait_until_counted()
        run.check()


def test_a_server_that_is_emptied_while_it_runs_is_noticed(own: RedisNode) -> None:
    """No connection breaks then."""
    with Run(own) as run:
        run.send(300)
        run.wait_until_counted()
        own.command("FLUSHALL")
        run.sent = 0
        wait_until(lambda: "went back" in run.output(), 20, "a line about it", run.output)
        run.send(200)
        run.wait_until_counted()
        run.check()


@pytest.mark.long
def test_a_server_with_older_data_is_gone_on_with_from_there(own: RedisNode) -> None:
    """As after a restored backup: what came since is gone from everywhere, and counted again if it is sent again."""
    with Run(own, workers=2) as run:
        run.send(300)
        run.wait_until_counted()
        shutil.copytree(own.folder / "appendonlydir", own.folder / "older")
        backed_up = run.sent
        run.send(400)
        run.wait_until_counted()
        own.kill()
        shutil.rmtree(own.folder / "appendonlydir")
        (own.folder / "older").rename(own.folder / "appendonlydir")
        own.start()
        run.sent = backed_up
        wait_until(lambda: "went back" in run.output(), 20, "a line about it", run.output)
        run.send(100)
        run.wait_until_counted()
        run.check()


def test_scripts_that_are_flushed_are_sent_again(node: RedisNode) -> None:
    """As after a failover, too."""
    with Run(node) as run:
        for _ in range(5):
            node.command("SCRIPT", "FLUSH")
            run.send(50)
        run.wait_until_counted()
        run.check()
        assert "[WARNING]" not in run.output()


def test_a_failover_to_a_replica_is_gone_on_with(own: RedisNode, tmp_path: Path) -> None:
    """Connections to the old primary live on and meet READONLY; the address leads new ones to the new primary."""
    replica = RedisNode(tmp_path / "replica", own.make, replicaof=f"127.0.0.1 {own.port}")
    with replica, Proxy(own.port) as proxy:
        wait_until(lambda: _is_online(own), 20, "the replica", replica.log_text)
        with Run(replica, workers=2, broker=proxy.broker) as run:
            run.send(300)
            own.command("FAILOVER", "TO", "127.0.0.1", replica.port)
            wait_until(lambda: replica.command("ROLE")[0] == b"master", 20, "the failover")
            wait_until(lambda: "READONLY" in run.output(), 20, "READONLY to be met", run.output)
            proxy.target = replica.port
            run.send(300)
            run.wait_until_counted()
            run.check()


def _is_online(primary: RedisNode) -> bool:
    with primary.client() as client:
        return bool(client.info("replication").get("slave0", {}).get("state") == "online")
