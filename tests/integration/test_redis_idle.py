"""A worker with nothing to do asks for little, and one that stops leaves nothing behind."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.transports.redis_streams.keys import keys_for
from tests.integration.redis_kit import TWO_MAKES, RedisNode, seconds_since
from tests.integration.redis_run import Run
from tests.integration.worker_process import WorkerProcess
from tests.waiting import wait_until

PARTITIONS = 4
SECONDS = 6.0
MOST_CPU = 0.03
MOST_CALLS = 2 * PARTITIONS + 12
"""A second: each partition asks for records and its end, and there is a heartbeat of a few calls."""


@pytest.fixture(scope="module", params=TWO_MAKES)
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisNode]:
    """A server."""
    with RedisNode(tmp_path_factory.mktemp("node"), request.param) as running:
        yield running


@pytest.mark.long
def test_an_idle_worker_costs_next_to_nothing(node: RedisNode) -> None:
    """Processor time of the worker, and commands of the server, inside scripts too."""
    with Run(node, partitions=PARTITIONS, session_timeout=6) as run:
        run.send(10)
        run.wait_until_counted()
        (worker,) = run.workers
        begin, cpu = time.monotonic(), _cpu_seconds(worker)
        calls = _calls(node)
        wait_until(lambda: seconds_since(begin) > SECONDS, 2 * SECONDS, "some idle seconds")
        seconds = seconds_since(begin)
        made, used = _calls(node) - calls, _cpu_seconds(worker) - cpu
        assert PARTITIONS / 2 < made / seconds < MOST_CALLS
        assert used / seconds < MOST_CPU


def _calls(node: RedisNode) -> int:
    with node.client() as client:
        stats: dict[str, Any] = client.info("commandstats")
    return sum(int(told["calls"]) for name, told in stats.items() if name not in {"cmdstat_info", "cmdstat_ping"})


def _cpu_seconds(worker: WorkerProcess) -> float:
    fields = Path(f"/proc/{worker._process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("busy", [False, True])
def test_a_worker_that_stops_leaves_nothing_behind(node: RedisNode, number: signal.Signals, busy: bool) -> None:
    """Within 3 s: connections closed, its place in the group and its partitions given up, nothing but data left."""
    with Run(node, partitions=PARTITIONS) as run:
        assert _connections(node, run) > 0
        run.send(5_000 if busy else 10)
        if not busy:
            run.wait_until_counted()
        (worker,) = run.workers
        begin = time.monotonic()
        worker.send(number)
        assert worker.wait(10) == 0, worker.output
        assert seconds_since(begin) < 3
        wait_until(lambda: _connections(node, run) == 0, 2, "its connections to close")
        keys = keys_for(run.settings)
        with node.client() as client:
            assert not client.exists(keys.members)
            assert not [p for p in range(PARTITIONS) if client.hexists(keys.lease(p), "owner")]
            passing = [key for key in client.scan_iter(f"{keys.tag}:*") if client.ttl(key) >= 0]
        assert all(b":sender:" in key for key in passing)
        assert "Traceback" not in worker.output


def _connections(node: RedisNode, run: Run) -> int:
    with node.client() as client:
        return sum(told["name"] == f"orderflow-{run.settings.app_id}" for told in client.client_list())
