"""Servers that take no writes for a while: workers say so, commit nothing by halves, and go on by themselves."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.engine.errors import Unavailable, Unknown
from app.engine.step import Output
from tests.contract.space import Space, numbered, table, until
from tests.integration.redis_kit import TWO_MAKES, RedisNode
from tests.integration.redis_run import Run
from tests.waiting import wait_until


class Trouble:
    """What a server may have against writes: how it begins and ends, and what the line about it says."""

    def __init__(self, node: RedisNode) -> None:
        self.node = node

    def begin(self) -> None:
        """Let it begin."""
        raise NotImplementedError

    def end(self) -> None:
        """Let it end."""
        raise NotImplementedError

    said = ""


class Memory(Trouble):
    """`maxmemory` is reached."""

    said = "maxmemory"

    def begin(self) -> None:
        """Allow less than there is."""
        self.node.command("CONFIG", "SET", "maxmemory", "1mb")

    def end(self) -> None:
        """Allow more."""
        self.node.command("CONFIG", "SET", "maxmemory", "0")


class Disk(Trouble):
    """A snapshot could not be written."""

    said = "RDB"

    def begin(self) -> None:
        """Put something in the way of the file."""
        (self.node.folder / "dump.rdb").unlink(missing_ok=True)
        (self.node.folder / "dump.rdb" / "in the way").mkdir(parents=True)
        self.node.command("CONFIG", "SET", "save", "3600 1000000")
        self.node.command("BGSAVE")
        wait_until(lambda: self._last() == "err", 20, "the snapshot to fail")

    def end(self) -> None:
        """Make room."""
        if not (self.node.folder / "dump.rdb").is_dir():
            return
        shutil.rmtree(self.node.folder / "dump.rdb")
        self.node.command("BGSAVE")
        wait_until(lambda: self._last() == "ok", 20, "the snapshot")
        self.node.command("CONFIG", "SET", "save", "")

    def _last(self) -> str:
        with self.node.client() as client:
            found = client.info("persistence")
            return "" if found["rdb_bgsave_in_progress"] else str(found["rdb_last_bgsave_status"])


class Replicas(Trouble):
    """Fewer replicas than the server is to have."""

    said = "replicas"

    def begin(self) -> None:
        """Ask for one."""
        self.node.command("CONFIG", "SET", "min-replicas-to-write", 1)

    def end(self) -> None:
        """Ask for none."""
        self.node.command("CONFIG", "SET", "min-replicas-to-write", 0)


@pytest.fixture(scope="module", params=TWO_MAKES)
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisNode]:
    """A server of each make."""
    with RedisNode(tmp_path_factory.mktemp("node"), request.param) as running:
        running.command("SET", "ballast", "x" * 2_000_000)
        yield running


@pytest.fixture(params=[Memory, Disk, Replicas])
def trouble(request: pytest.FixtureRequest, node: RedisNode) -> Iterator[Trouble]:
    """Each kind of trouble; it is over at the end of the test."""
    made: Trouble = request.param(node)
    yield made
    made.end()


async def test_nothing_of_a_step_is_written(trouble: Trouble, node: RedisNode) -> None:
    """Rows, outputs, the offset: none of it; later the same step is committed."""
    space = Space(node)
    await space.prepare()
    await space.send(*numbered(3))
    outputs = [Output(space.topics.order_updates, 0, b"k", b"v")]
    async with space.holding() as lease:
        before = node.dump()
        trouble.begin()
        for rows in (table(a=b"1"), []):
            with pytest.raises(Unknown, match=trouble.said):
                await lease.commit(3, rows, outputs)
        assert node.dump() == before
        trouble.end()
    async with space.holding() as lease:
        await lease.commit(3, table(a=b"1"), outputs)
    assert await space.state() == ({("t", "a"): b"1"}, 3)
    assert await space.values(space.topics.order_updates) == [b"v"]


def test_a_worker_goes_on_by_itself_once_there_is_room(trouble: Trouble, node: RedisNode) -> None:
    """It says what the server said, and does not end."""
    with Run(node) as run:
        run.send(100)
        trouble.begin()
        wait_until(lambda: trouble.said in run.output(), 20, "a line about it", run.output)
        trouble.end()
        run.send(100)
        run.wait_until_counted()
        run.check()


@pytest.mark.parametrize("trouble", [Memory, Disk], indirect=True)
async def test_a_sender_waits_for_room(trouble: Trouble, node: RedisNode) -> None:
    """As a worker does."""
    space = Space(node)
    async with space.transport.open_sender(space.settings) as sender:
        await sender.send(space.topics.orders, b"k", b"1")
        await sender.flush()
        trouble.begin()
        await sender.send(space.topics.orders, b"k", b"2")
        flushing = asyncio.create_task(sender.flush())
        refused = _refusals(node)
        await until(lambda: _refusals(node) > refused + 2, what="the sender to try again")
        assert not flushing.done()
        trouble.end()
        await flushing
    assert await space.values(space.topics.orders) == [b"1", b"2"]


def _refusals(node: RedisNode) -> int:
    with node.client() as client:
        return int(client.info("stats")["total_error_replies"])


@pytest.mark.parametrize("trouble", [Memory, Disk], indirect=True)
def test_a_worker_ends_when_there_is_no_room_for_too_long(trouble: Trouble, node: RedisNode) -> None:
    """Exit code 3 and one line that says what the server said."""
    with Run(node, broker_timeout=3) as run:
        run.send(10)
        run.wait_until_counted()
        trouble.begin()
        (worker,) = run.workers
        assert worker.wait(3 + 8) == Unavailable.exit_code, worker.output
        assert len(worker.errors) == 1, worker.output
        assert trouble.said in worker.errors[0], worker.errors[0]
        trouble.end()
        run.workers.clear()
        run.start_worker()
        run.send(10)
        run.wait_until_counted()
        run.check()


def test_a_disk_that_is_full_is_waited_for(tmp_path: Path) -> None:
    """A real one: the append-only file cannot grow until somebody makes room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("NOT TESTED with a full disk: this user may not mount a small one")
    try:
        # With "always" it would not wait for room, but end.
        options = {"appendfsync": "everysec", "auto_aof_rewrite_percentage": 0, "loglevel": "warning"}
        with RedisNode(disk, "redis-7", **options) as node, Run(node) as run:
            run.send(100)
            filling = disk / "filling"
            with pytest.raises(OSError, match="space"):
                _fill(filling)
            wait_until(lambda: "No space" in run.output() or "AOF" in run.output(), 30, "a line about it", run.output)
            filling.unlink()
            run.send(100)
            run.wait_until_counted()
            run.check()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)  # noqa: S607 - whichever is in PATH


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 14)):
            pass
        file.write(b"x")  # raises, where the last write was cut short
