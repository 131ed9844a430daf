"""The real worker command at work: how it stops, fails, is killed, paused and thrown out of its group."""

import asyncio
import signal
import time
from collections.abc import Sequence
from typing import Any

import pytest

from tests.contract.brokers.every import Servers, over
from tests.contract.brokers.server import Server, as_number, read_log
from tests.contract.space import KeyValue, Space, numbered
from tests.integration.secured_kafka import SecuredKafka
from tests.integration.worker_process import WorkerProcess
from tests.oracle_events import partition_of

STOP_SECONDS = 3.0


class Job:
    """A counting application on topics of its own."""

    def __init__(self, server: Server, **more: Any) -> None:
        self.space = Space(server, session_timeout=max(3.0, server.session_timeout), **more)
        self.topics = self.space.topics
        self.partitions = self.space.settings.partitions

    def worker(self) -> WorkerProcess:
        """Start a worker."""
        settings = self.space.settings
        return WorkerProcess(**{name: getattr(settings, name) for name in settings.model_fields_set})

    def send(self, *values: bytes, partition: int = 0) -> None:
        """Send records under the key of a partition: `k`, where there is only one."""
        keys = (b"k%d" % number for number in range(99))
        key = b"k" if self.partitions == 1 else next(k for k in keys if partition_of(k, self.partitions) == partition)
        self.send_records([(key, value) for value in values])

    def send_records(self, records: Sequence[KeyValue]) -> None:
        """Send records."""
        asyncio.run(self.space.send(*records))

    def counted(self, partition: int = 0) -> dict[str, int]:
        """Return the committed counts, `offset` among them."""
        rows, offset = self.space.server.state(self.space.settings, partition)
        return {key: as_number(row) for (_, key), row in rows.items()} | {"offset": offset or 0}

    def values(self, topic: str) -> list[bytes | None]:
        """Return what is committed in a topic."""
        return [record.value for record in read_log(self.space.server, self.space.settings, topic)]

    def ends_with(self, **expected: int) -> None:
        """Check counts and offset of a job that nobody works on, and that its outputs agree with them."""
        assert self.counted() == expected
        assert len(self.values(self.topics.order_updates)) == sum(expected.values()) - expected["offset"]


@pytest.fixture(params=over(long=["redis", "kafka"]))
def server(request: pytest.FixtureRequest, servers: Servers) -> Server:
    """A running server of each broker; Redis differs little from the embedded one here, and Kafka's are slow."""
    return servers.get(request.param)


@pytest.fixture
def job(server: Server) -> Job:
    """A job on one partition."""
    return Job(server)


@pytest.mark.parametrize("signal_", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_a_stop_commits_the_step_in_flight(job: Job, signal_: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end a worker with exit code 0 within 3 s; the step in flight is committed, none follows."""
    with job.worker() as worker:
        worker.wait_until_owning(1)
        job.send(b"slow")
        worker.wait_until(lambda: "a step of 1 s begins" in worker.output)
        job.send(b"later")
        assert job.counted() == {"offset": 0}
        begin = time.monotonic()
        worker.send(signal_)
        assert worker.wait(STOP_SECONDS) == 0
        assert time.monotonic() - begin < STOP_SECONDS
        assert worker.errors == []
        assert "Traceback" not in worker.output
    job.ends_with(k=1, offset=1)


@pytest.mark.parametrize("signal_", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_an_idle_worker_stops_at_once(server: Server, signal_: signal.Signals) -> None:
    """With nothing to do, over several partitions, and without a word of an error."""
    job = Job(server, partitions=4)
    with job.worker() as worker:
        worker.wait_until_owning(4)
        worker.send(signal_)
        assert worker.wait(STOP_SECONDS) == 0
        assert worker.errors == []
        assert "Traceback" not in worker.output
        assert "ERROR" not in worker.output


@pytest.mark.parametrize("after", ["Starting...", "Consumer]: Starting", "Web", "claimed"])
def test_a_worker_that_is_still_starting_stops_too(job: Job, after: str) -> None:
    """At whatever point of its start the signal comes."""
    with job.worker() as worker:
        worker.wait_until(lambda: after in worker.output)
        worker.send(signal.SIGTERM)
        assert worker.wait(STOP_SECONDS + 1) == 0
        assert worker.errors == []


def test_a_step_that_never_ends_does_not_keep_a_worker_from_stopping(job: Job) -> None:
    """It is dropped, with nothing of it committed; the next worker does it again."""
    with job.worker() as worker:
        worker.wait_until_owning(1)
        job.send(b"x", b"stuck")
        worker.wait_until(lambda: "a step of 3600 s begins" in worker.output)
        worker.send(signal.SIGTERM)
        assert worker.wait(6.0) == 0
    job.ends_with(offset=0)


def test_a_failing_agent_ends_the_worker_with_nothing_half_committed(job: Job) -> None:
    """The line names the partition and the error; what was committed before stays, the failed step leaves nothing."""
    with job.worker() as worker:
        worker.wait_until_owning(1)
        job.send(b"good")
        worker.wait_until(lambda: job.counted() == {"k": 1, "offset": 1})
        job.send(b"good", b"bad", b"raise", b"good")
        assert worker.wait(10) == 6
        assert len(worker.errors) == 1
        assert "partition 0" in worker.errors[0]
        assert "ValueError: the record says so" in worker.errors[0]
    job.ends_with(k=1, offset=1)
    assert job.values(job.topics.dead_letters) == []


def test_a_killed_worker_leaves_nothing_half_done(job: Job) -> None:
    """SIGKILL in the middle of a step, then another worker: every record counts once."""
    with job.worker() as worker:
        worker.wait_until_owning(1)
        job.send(b"slow", b"x")
        worker.wait_until(lambda: "a step of 1 s begins" in worker.output)
        worker.send(signal.SIGKILL)
        worker.wait(5)
    assert job.counted() == {"offset": 0}
    job.send(b"y")
    with job.worker() as worker:
        worker.wait_until(lambda: job.counted()["offset"] == 3)
    job.ends_with(k=3, offset=3)


def test_the_next_worker_goes_on_where_the_last_one_stopped(job: Job) -> None:
    """Over three workers in turn, no record is counted twice or left out."""
    for turn in range(1, 4):
        with job.worker() as worker:
            worker.wait_until_owning(1)
            job.send_records(numbered(700))
            worker.wait_until(lambda: job.counted()["offset"] > 700 * (turn - 1))  # noqa: B023 - waited for in this turn
            worker.send(signal.SIGTERM)
            assert worker.wait(STOP_SECONDS) == 0
    with job.worker() as worker:
        worker.wait_until(lambda: job.counted()["offset"] == 2_100)
    job.ends_with(**{f"k{key}": 300 for key in range(7)}, offset=2_100)


# --- the group --------------------------------------------------------------------------------------------------------


def test_a_paused_worker_comes_back(job: Job) -> None:
    """Stopped in the middle of a step for longer than its session, it finds its way back and counts everything once."""
    with job.worker() as worker:
        worker.wait_until_owning(1)
        job.send(b"slow")
        worker.wait_until(lambda: "a step of 1 s begins" in worker.output)
        worker.send(signal.SIGSTOP)
        with job.worker() as other:
            other.wait_until(lambda: job.counted() == {"k": 1, "offset": 1})
            worker.send(signal.SIGCONT)
            job.send(b"x")
            other.wait_until(lambda: job.counted() == {"k": 2, "offset": 2})
            other.send(signal.SIGTERM)
            assert other.wait(STOP_SECONDS) == 0
        job.send(b"y")
        worker.wait_until(lambda: job.counted() == {"k": 3, "offset": 3})
        worker.send(signal.SIGTERM)
        assert worker.wait(STOP_SECONDS) == 0
        assert worker.errors == []
    job.ends_with(k=3, offset=3)


def test_a_worker_whose_group_may_not_be_used_any_more_ends(secured: SecuredKafka) -> None:
    """A group that is broken for good never parks the worker: it says so and exits, within seconds."""
    user = secured.new_user()
    user.create_topics()
    user.grant()
    with WorkerProcess(**user.settings()) as worker:
        worker.wait_until_owning(2)
        user.withdraw("group")
        assert worker.wait(15) not in (0, 1)
        assert len(worker.errors) == 1
        assert f"group {user.app_id}" in worker.errors[0]


def test_a_new_member_takes_only_its_share(server: Server) -> None:
    """Four partitions over one worker, then three: 2, 1, 1; those that stay are not claimed again."""
    job = Job(server, partitions=4)

    def claims(worker: WorkerProcess) -> int:
        return worker.output.count(": claimed,")

    with job.worker() as first:
        first.wait_until_owning(4)
        with job.worker() as second, job.worker() as third:
            second.wait_until_owning(1)
            third.wait_until_owning(1)
            for partition in range(4):
                job.send(b"x", partition=partition)
            first.wait_until(lambda: all(job.counted(partition)["offset"] == 1 for partition in range(4)))
            assert claims(first) == 4, first.output
            for worker in (second, third):
                worker.send(signal.SIGTERM)
                assert worker.wait(STOP_SECONDS) == 0
        for partition in range(4):
            job.send(b"y", partition=partition)
        first.wait_until(lambda: all(job.counted(partition)["offset"] == 2 for partition in range(4)))
