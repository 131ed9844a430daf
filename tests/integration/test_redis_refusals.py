"""Redis servers that cannot be trusted with state, or are not there: a worker says so in one line, and in time."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.errors import Refused, Unavailable
from app.settings import Settings
from app.transports.redis_streams import provision
from app.transports.redis_streams.connection import RemoteServer
from tests.contract.space import Space
from tests.integration.redis_kit import MAKES, RedisNode, worker_settings
from tests.integration.worker_process import WorkerProcess
from tools.local_kafka import free_port

SECONDS = 8.0
START_SECONDS = 10.0
LITTLE_SECONDS = 6.0
"""Python, Faust and the end of it."""


def gives_up(settings: dict[str, Any], code: int, *told: str, within: float = SECONDS) -> None:
    """Start a worker that has to give up: one line, in time, with this exit code."""
    with WorkerProcess(**settings) as worker:
        assert worker.ends(within) == code, worker.output
        assert len(worker.errors) == 1, worker.output
        assert not [part for part in told if part not in worker.errors[0]], worker.errors[0]
        assert "Traceback" not in worker.output, worker.output


@pytest.fixture(scope="module", params=MAKES)
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisNode]:
    """A server of each make."""
    with RedisNode(tmp_path_factory.mktemp("node"), request.param) as running:
        yield running


def test_each_make_is_taken(node: RedisNode) -> None:
    """Redis from 7 and Valkey from 8 on."""
    with WorkerProcess(**worker_settings(node.settings())) as worker:
        worker.wait_until_owning(1)
        worker.send(signal.SIGTERM)
        assert worker.wait(5) == 0


def test_a_server_that_is_too_old(tmp_path: Path) -> None:
    """The line names its version and the oldest that works."""
    with RedisNode(tmp_path, "redis-6") as old:
        gives_up(worker_settings(old.settings()), Refused.exit_code, "Redis 6.", "7.0")
        assert old.command("DBSIZE") == 0


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru"])
def test_a_server_that_deletes_what_it_likes(node: RedisNode, policy: str) -> None:
    """The line names the policy and what to set."""
    node.command("CONFIG", "SET", "maxmemory-policy", policy)
    try:
        gives_up(worker_settings(node.settings()), Refused.exit_code, policy, "noeviction")
    finally:
        node.command("CONFIG", "SET", "maxmemory-policy", "noeviction")


def test_a_replica(node: RedisNode) -> None:
    """The line says so; a primary is wanted."""
    node.command("REPLICAOF", "127.0.0.1", str(free_port()))
    try:
        gives_up(worker_settings(node.settings()), Refused.exit_code, "replica", "ORDERS_BROKER")
    finally:
        node.command("REPLICAOF", "NO", "ONE")


async def test_a_server_without_an_append_only_file_is_warned_about(
    node: RedisNode, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be what somebody wants."""
    await Space(node).prepare()
    assert not caplog.records
    node.command("CONFIG", "SET", "appendonly", "no")
    try:
        await Space(node).prepare()
    finally:
        node.command("CONFIG", "SET", "appendonly", "yes")
    assert "appendonly" in caplog.text


def test_nobody_there() -> None:
    """The line names the address; it is tried for 10 s."""
    port = free_port()
    settings = {"broker": f"redis://127.0.0.1:{port}/1"}
    gives_up(
        settings, Unavailable.exit_code, f"127.0.0.1:{port}/1", "ORDERS_BROKER", within=START_SECONDS + LITTLE_SECONDS
    )


@pytest.mark.long
def test_a_host_that_nobody_knows() -> None:
    """The line names it."""
    settings = {"broker": "redis://no-such-host.invalid"}
    gives_up(settings, Unavailable.exit_code, "no-such-host.invalid", within=START_SECONDS + LITTLE_SECONDS)


@pytest.mark.long
def test_somebody_who_never_answers() -> None:
    """A server that hangs, or something else that listens: the time is the same, whatever ORDERS_BROKER_TIMEOUT is."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = {"broker": f"redis://127.0.0.1:{silent.getsockname()[1]}", "broker_timeout": 300}
        gives_up(settings, Unavailable.exit_code, "ORDERS_BROKER", within=START_SECONDS + LITTLE_SECONDS + 1)


async def test_something_else_that_answers() -> None:
    """A web server, for instance: it is told that this is no Redis."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as web:
        port = web.sockets[0].getsockname()[1]
        with pytest.raises(Refused, match=rf"127.0.0.1:{port}.*ORDERS_BROKER"):
            await provision.prepare(RemoteServer(Settings(broker=f"redis://127.0.0.1:{port}")), Settings())


def test_a_server_that_loads_its_data_is_waited_for(tmp_path: Path) -> None:
    """With a line that says so; then work begins."""
    with RedisNode(tmp_path, appendonly="no") as slow:
        settings = worker_settings(slow.settings())
        with slow.client() as client:
            client.mset({f"filling-{n}": "x" * 2_000 for n in range(500)})
            client.save()
        slow.kill()
        slow.options["key-load-delay"] = 10_000  # microseconds for each key
        slow.options["loading-process-events-interval-bytes"] = 1024
        slow.options["rdbcompression"] = "no"
        slow.launch()
        with WorkerProcess(**settings) as worker:
            worker.wait_until_owning(1)
            assert "still loading" in worker.output


async def test_a_server_that_comes_within_the_time_is_waited_for(tmp_path: Path) -> None:
    """Servers and workers are often started together."""
    late = RedisNode(tmp_path)
    preparing = asyncio.create_task(Space(late).prepare())
    await asyncio.sleep(0)
    with late:
        await preparing
