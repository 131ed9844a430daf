"""The real worker command at work: how it stops, fails, is killed, paused and thrown out of its group."""

import signal
import time
from typing import Any

import pytest

from app.topics import Topics, topics_for
from app.transports.kafka.state_records import OFFSET_KEY, decode_offset
from tests.integration.kafka_kit import committed, numbered, produce, settings_for, table_of
from tests.integration.secured_kafka import SecuredKafka
from tests.integration.worker_process import WorkerProcess
from tools.local_kafka import LocalKafka

STOP_SECONDS = 3.0


class Job:
    """A counting application on topics of its own."""

    def __init__(self, broker: LocalKafka, **more: Any) -> None:
        self.broker = broker
        settings = settings_for(broker, **more)
        own = ("broker", "app_id", "topic_prefix", "partitions", "broker_timeout")
        self.settings = {name: getattr(settings, name) for name in own} | more
        self.topics: Topics = topics_for(settings.topic_prefix, settings.app_id)
        self.partitions = settings.partitions

    def worker(self, **more: Any) -> WorkerProcess:
        """Start a worker."""
        return WorkerProcess(**self.settings | more)

    def send(self, *values: bytes, partition: int = 0) -> None:
        """Send records under the key `k`."""
        produce(self.broker, self.topics.orders, [(b"k", value) for value in values], partition)

    def counted(self, partition: int = 0) -> dict[str, int]:
        """Return the committed counts, `offset` among them."""
        rows = table_of(self.broker, self.topics.state, partition)
        offset = decode_offset(rows.pop(OFFSET_KEY)) if OFFSET_KEY in rows else 0
        return {key.decode().partition("/")[2]: int(value) for key, value in rows.items()} | {"offset": offset}

    def ends_with(self, **expected: int) -> None:
        """Check counts and offset of a job that nobody works on, and that its outputs agree with them."""
        assert self.counted() == expected
        updates = committed(self.broker, self.topics.order_updates)
        assert len(updates) == sum(count for key, count in expected.items() if key != "offset")


@pytest.fixture
def job(kafka: LocalKafka) -> Job:
    """A job on one partition."""
    return Job(kafka)


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
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


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_an_idle_worker_stops_at_once(kafka: LocalKafka, signal_: signal.Signals) -> None:
    """With nothing to do, over several partitions, and without a word of an error."""
    job = Job(kafka, partitions=4)
    with job.worker() as worker:
        worker.wait_until_owning(4)
        worker.send(signal_)
        assert worker.wait(STOP_SECONDS) == 0
        assert worker.errors == []
        assert "Traceback" not in worker.output
        assert "ERROR" not in worker.output


@pytest.mark.parametrize("after", ["Starting...", "Created topics", "Web", "claimed"])
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
    assert committed(job.broker, job.topics.dead_letters) == []


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
            produce(job.broker, job.topics.orders, numbered(700))
            worker.wait_until(lambda: job.counted()["offset"] > 700 * (turn - 1))  # noqa: B023 - waited for in this turn
            worker.send(signal.SIGTERM)
            assert worker.wait(STOP_SECONDS) == 0
    with job.worker() as worker:
        worker.wait_until(lambda: job.counted()["offset"] == 2_100)
    job.ends_with(**{f"k{key}": 300 for key in range(7)}, offset=2_100)


# --- the group --------------------------------------------------------------------------------------------------------


def test_a_paused_worker_comes_back(kafka: LocalKafka) -> None:
    """Stopped in the middle of a step for longer than its session, it finds its way back and counts everything once."""
    job = Job(kafka, session_timeout=6)
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


def test_a_new_member_takes_only_its_share(kafka: LocalKafka) -> None:
    """Four partitions over one worker, then three: 2, 1, 1; those that stay are not claimed again."""
    job = Job(kafka, partitions=4)

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
