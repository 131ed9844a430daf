"""The emit command as users run it, against a real broker and against none."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.commands._sending import key_of
from app.settings import Settings
from tests.contract.brokers.every import Servers, over
from tests.contract.brokers.server import Server, TopicLog, environment, names
from tests.oracle_events import partition_of
from tests.workers import ROOT, Worker
from tools.local_kafka import free_port

SAMPLE = ROOT / "samples" / "orders.jsonl"
PARTITIONS = 3


@pytest.fixture(params=over(long=["redis"]))
def server(request: pytest.FixtureRequest, servers: Servers) -> Server:
    """A running server of each broker; Redis differs little from the embedded one here."""
    return servers.get(request.param)


@pytest.fixture
def settings(server: Server) -> Settings:
    """Topics of this test alone."""
    return server.settings(partitions=PARTITIONS)


@pytest.fixture
def shell(settings: Settings, tmp_path: Path) -> Worker:
    """Settings to run commands with; no worker runs."""
    return Worker("shell", tmp_path, environment(settings))


@pytest.fixture
def orders(server: Server, settings: Settings) -> Iterator[TopicLog]:
    """The orders topic."""
    log = server.log(settings, names(settings).orders)
    yield log
    log.close()


def test_the_bundled_file_arrives_whole_and_in_order(shell: Worker, orders: TopicLog) -> None:
    """Each line is a record in its customer's partition, without a worker ever having run."""
    result = shell.command("emit", str(SAMPLE))
    assert (result.stdout, result.returncode) == (b"acknowledged 200 of 200\n", 0)
    assert result.stderr == b""
    lines = SAMPLE.read_bytes().splitlines()
    keyed = {line: key_of(line) for line in lines}
    records = orders.catch_up()
    assert sorted(record.value or b"" for record in records) == sorted(lines)
    for record in records:
        assert record.key == keyed[record.value or b""]
        assert record.key is None or record.partition == partition_of(record.key, PARTITIONS)
    for partition in range(PARTITIONS):
        sent = [line for line in lines if (key := keyed[line]) and partition_of(key, PARTITIONS) == partition]
        assert [record.value for record in records if record.partition == partition and record.key] == sent


def test_many_events_are_sent_quickly(shell: Worker, orders: TopicLog) -> None:
    """50,000 sample events; the time is that of a slow machine, start of the command included."""
    begin = time.monotonic()
    result = shell.command("emit", "--sample", "50000")
    assert result.stdout == b"acknowledged 50000 of 50000\n"
    assert time.monotonic() - begin < 30
    assert len(orders.catch_up()) == 50_000


@pytest.mark.long
def test_an_unreachable_broker_is_one_line_within_the_limit(tmp_path: Path) -> None:
    """Nobody listens on this port."""
    address = f"127.0.0.1:{free_port()}"
    begin = time.monotonic()
    result = Worker("shell", tmp_path, {"ORDERS_BROKER": f"kafka://{address}"}).command("emit", str(SAMPLE))
    assert time.monotonic() - begin < 15
    assert result.stdout == b""
    assert result.returncode not in {0, 2}
    assert result.stderr.startswith(b"emit: error: ")
    assert result.stderr.count(b"\n") == 1
    assert address.encode() in result.stderr


def test_another_partition_count_is_one_line(shell: Worker, settings: Settings, tmp_path: Path) -> None:
    """Sending by another count would put every record into a wrong partition."""
    assert shell.command("emit", "--sample", "1").returncode == 0
    other = Worker("other", tmp_path, environment(settings) | {"ORDERS_PARTITIONS": "5"})
    result = other.command("emit", "--sample", "1")
    assert result.returncode not in {0, 2}
    assert b"ORDERS_PARTITIONS" in result.stderr
    assert result.stderr.count(b"\n") == 1
