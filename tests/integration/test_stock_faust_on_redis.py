"""Any Faust app runs on `redis://` and `embedded://` as it does on `kafka://`: nothing in it is of ours."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.contract.brokers.every import Servers, over
from tests.integration.plain_worker import Plain, PlainWorker, plain
from tests.waiting import wait_until

LINES = 40


def counted(lines: int) -> dict[str, int]:
    """Return the counts of so many lines, each counted once."""
    return Counter({"all": lines}) + Counter(f"w{n % 10}" for n in range(lines))


def found(lines: int) -> dict[str, list[str]]:
    """Return the lines of each word."""
    return {word: sorted(f"line-{n}" for n in range(lines) if word in {"all", f"w{n % 10}"}) for word in counted(lines)}


def union(workers: list[PlainWorker], table: str) -> dict[str, Any]:
    """Return a table over all workers."""
    return {key: row for worker in workers for key, row in worker.state[table].items()}


@pytest.fixture(params=over(long=["redis", "kafka"]))  # on Kafka it is Faust's own transport that runs
def app(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Plain]:
    """The app on each broker."""
    address = servers.get(request.param).address()
    if request.param == "embedded":
        with plain(tmp_path, f"embedded://{address['data_dir'].resolve()}") as running:
            yield running
    else:
        with plain(tmp_path, address["broker"], 2.0 if request.param == "redis" else 6.0) as running:
            yield running


@pytest.fixture
def on_redis(servers: Servers, tmp_path: Path) -> Iterator[Plain]:
    """The app on Redis, with as little as possible kept of what was read."""
    with plain(tmp_path, servers.get("redis").address()["broker"], ORDERS_REDIS_RETAIN="5") as running:
        yield running


@pytest.mark.timeout(240)
def test_the_same_app_runs_on_every_broker(app: Plain) -> None:
    """Words are counted, keys, headers and timestamps arrive; after a clean stop nothing comes again, and tables do."""
    worker = app.worker()
    worker.until(lambda state: state["ready"])
    app.feed(0, LINES)
    state = worker.until(
        lambda state: state["counts"].get("all", 0) >= LINES and sum(state["counts"].values()) >= 2 * LINES
    )
    assert state["counts"] == counted(LINES)
    assert {(line["line"], line["headers"]["number"], line["timestamp"]) for line in state["handled"]} == {
        (f"line-{n}", str(n), n + 1.0) for n in range(LINES)
    }
    worker.until(lambda state: state["ticks"]["all"] > 3 and state["ticks"]["leader"] > 3)
    worker.stop()

    worker = app.worker()
    state = worker.until(lambda state: state["ready"] and state["counts"])
    assert state["counts"] == counted(LINES)
    assert '"offset"' in app.run("send", f"{app.name}-lines", "last forget", "-k", "the-end", "--partition", "3")
    state = worker.until(lambda state: state["counts"].get("forget"))
    assert [(line["line"], line["partition"]) for line in state["handled"]] == [("the-end", 3)]
    assert state["counts"] == counted(LINES) | {"last": 1, "forget": 1}
    worker.stop()


def test_two_workers_share_and_the_death_of_one_loses_nothing(on_redis: Plain) -> None:
    """Every line is handled at least once; tables of what the dead one had are recovered by the other."""
    workers = [on_redis.worker(), on_redis.worker()]
    for worker in workers:
        worker.until(lambda state: state["ready"])
    on_redis.feed(0, LINES)
    for worker in workers:
        worker.until(lambda state: state["handled"])
    wait_until(lambda: union(workers, "found_in") == found(LINES), 20, "all lines")
    on_redis.feed(LINES, 5 * LINES)
    workers[0].kill()
    on_redis.feed(5 * LINES, 6 * LINES)
    state = workers[1].until(lambda state: state["ready"] and state["found_in"] == found(6 * LINES))
    assert all(state["counts"][word] >= count for word, count in counted(6 * LINES).items())


@pytest.mark.long
def test_a_worker_that_was_away_changes_nothing_of_its_successors(on_redis: Plain) -> None:
    """It wakes up with work under way that another has long done: its rows are void, and it joins again."""
    on_redis.feed(0, 10 * LINES)
    workers = [on_redis.worker(), on_redis.worker()]
    for worker in workers:
        worker.until(lambda state: state["handled"])
    workers[0].process.send_signal(signal.SIGSTOP)
    workers[1].until(lambda state: state["ready"] and state["found_in"] == found(10 * LINES))
    workers[0].process.send_signal(signal.SIGCONT)
    on_redis.feed(10 * LINES, 11 * LINES)
    everything = {f"line-{n}" for n in range(11 * LINES)}
    wait_until(
        lambda: {line["line"] for worker in workers for line in worker.state["handled"]} == everything, 20, "all lines"
    )
    workers[0].until(lambda state: state["ready"])
    for worker in workers:
        worker.stop()
    on_redis.worker().until(lambda state: state["ready"] and state["found_in"] == found(11 * LINES))


@pytest.mark.long
def test_a_changelog_keeps_one_row_for_each_key(on_redis: Plain, servers: Servers) -> None:
    """Deleted rows stay deleted over a restart, and the server's memory grows with the keys, not with the changes."""
    worker = on_redis.worker()
    worker.until(lambda state: state["ready"])
    on_redis.feed(0, 3 * LINES)
    worker.until(lambda state: state["counts"] == counted(3 * LINES))
    on_redis.run("send", f"{on_redis.name}-lines", "forget w1 w2")
    kept = {word: count for word, count in counted(3 * LINES).items() if word not in {"w1", "w2"}}
    worker.until(lambda state: state["counts"] == kept)
    worker.stop()
    client = redis.Redis.from_url(servers.get("redis").address()["broker"])
    with client:
        streams = list(client.scan_iter(f"*{on_redis.name}-counts-changelog:[0-3]"))
        rows = list(client.scan_iter(f"*{on_redis.name}-counts-changelog:[0-3]:rows"))
        assert rows
        assert sum(client.hlen(key) for key in rows) == len(counted(3 * LINES))
        assert all(client.xlen(key) <= 6 for key in streams)
    worker = on_redis.worker()
    state = worker.until(lambda state: state["ready"] and state["counts"])
    assert state["counts"] == kept
    assert state["handled"] == []


@pytest.mark.long
def test_a_server_that_crashes_is_waited_for(servers: Servers, tmp_path: Path) -> None:
    """Messages sent before and after the crash are all handled; a server that stays away ends the worker in the end."""
    with servers.own("redis") as server, plain(tmp_path, server.address()["broker"], WORDS_PATIENCE="4") as app:
        worker = app.worker()
        worker.until(lambda state: state["ready"])
        app.feed(0, LINES)
        server.kill()
        wait_until(lambda: "trying again" in worker.output, 20, "a worker that has noticed")
        server.start()
        app.feed(LINES, 2 * LINES)
        worker.until(lambda state: state["ready"] and state["found_in"] == found(2 * LINES))
        server.kill()
        assert worker.process.wait(30) != 0
        assert "Redis did not answer while" in worker.output


def test_exactly_once_is_refused_in_one_line(servers: Servers, tmp_path: Path) -> None:
    """Faust's own way to it needs Kafka's transactions."""
    broker = servers.get("redis").address()["broker"]
    with plain(tmp_path, broker, WORDS_GUARANTEE="exactly_once") as app:
        worker = app.worker()
        assert worker.process.wait(20) != 0
        assert "processed at least once on Redis" in worker.output
