"""`make run` as a newcomer meets it: with and without a broker, the first time and the second."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from tests.waiting import wait_until
from tools.local_kafka import LocalKafka, free_port
from tools.run import SAMPLES

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tools.run"]
SECONDS = 60


def environment(broker: str, data: Path, **more: str) -> dict[str, str]:
    """Return the environment of a run of its own: topics, folder and web port that no other test uses."""
    own = {"ORDERS_BROKER": broker, "ORDERS_DATA_DIR": str(data), "ORDERS_WEB_PORT": str(free_port())}
    return os.environ | own | {"ORDERS_TOPIC_PREFIX": "run-", "ORDERS_APP_ID": "run"} | more


class Run:
    """A run in progress, and what it has printed so far."""

    def __init__(self, process: "subprocess.Popen[str]", port: str) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.output = ""

    def wait_for(self, text: str) -> None:
        """Read the output up to the line that holds `text`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return
        raise AssertionError(f"ended with code {self.process.wait()} before {text!r}:\n{self.output}")

    def stop(self) -> int:
        """Press Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        self.output += self.process.communicate(timeout=SECONDS)[0]
        return self.process.returncode


@contextmanager
def running(env: dict[str, str]) -> Iterator[Run]:
    """Start it; whatever happens it ends."""
    process = subprocess.Popen(COMMAND, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    watchdog = threading.Timer(SECONDS, process.terminate)  # a read that never ends would hang the test
    watchdog.start()
    try:
        yield Run(process, env["ORDERS_WEB_PORT"])
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=SECONDS)


def sent(broker: LocalKafka) -> int:
    """Return how many records are in the topic of this module's runs."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "test-make-run"})
    partitions = consumer.list_topics("run-orders", timeout=10).topics["run-orders"].partitions
    ends = [consumer.get_watermark_offsets(TopicPartition("run-orders", number), timeout=10) for number in partitions]
    consumer.close()
    return sum(high for _low, high in ends)


def test_the_first_run_sends_the_samples_and_the_second_does_not(kafka: LocalKafka, tmp_path: Path) -> None:
    """Both print where to look, what they name can be asked for, and Ctrl-C ends them with exit code 0."""
    env = environment(kafka.url, tmp_path)
    samples = len(SAMPLES.read_text().splitlines())
    with running(env) as first:
        first.wait_for("Ctrl-C stops")
        assert "First run" in first.output
        assert sent(kafka) == samples
        named = re.search(rf"{first.url}/api/customers/\S+", first.output)
        assert named is not None
        with urllib.request.urlopen(named[0], timeout=10) as answer:  # noqa: S310 - our own address
            assert answer.status == 200
        assert first.stop() == 0
    with running(env) as second:
        second.wait_for("Ctrl-C stops")
        assert "First run" not in second.output
        assert second.stop() == 0
    assert sent(kafka) == samples


def test_a_second_worker_on_the_same_port_is_told_how_to_choose_another(kafka: LocalKafka, tmp_path: Path) -> None:
    """One line that can be copied, and exit code 1."""
    port = str(kafka.port)  # something listens here for certain
    done = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env=environment(kafka.url, tmp_path, ORDERS_WEB_PORT=port),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"ORDERS_WEB_PORT={kafka.port + 1} make run" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_any_setting_it_brings_its_own_broker(tmp_path: Path) -> None:
    """The samples are counted, a second start keeps them, and Ctrl-C leaves no server behind."""
    env = environment("", tmp_path)
    del env["ORDERS_BROKER"]
    socket = tmp_path / "embedded" / "valkey.sock"
    samples = len(SAMPLES.read_text().splitlines())
    for start in ("first", "second"):
        with running(env) as run:
            run.wait_for("Ctrl-C stops")
            assert ("First run" in run.output) == (start == "first")
            wait_until(lambda url=run.url: counted(url) == samples, 10, "all samples are counted")  # type: ignore[misc]
            assert socket.exists()
            assert run.stop() == 0
        wait_until(lambda: not socket.exists(), 10, "the server has ended")


def counted(url: str) -> int:
    """Return how many records a worker has dealt with, one way or another."""
    with urllib.request.urlopen(f"{url}/api/status", timeout=10) as answer:  # noqa: S310 - our own address
        outcomes = json.load(answer)["outcomes"]
    return int(sum(outcomes.pop("dead_letters").values()) + sum(outcomes.values()))


def test_without_a_broker_it_says_how_to_start_one(tmp_path: Path) -> None:
    """One line on standard error within seconds, and a code that is not 0."""
    broker = f"kafka://127.0.0.1:{free_port()}"
    done = subprocess.run(
        COMMAND, cwd=ROOT, env=environment(broker, tmp_path), capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"make run: no Kafka at {broker.removeprefix('kafka://')} ")
    assert line.endswith("start one with `make kafka`, or leave ORDERS_BROKER out for the embedded broker")


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    """The variable and the fault, in one line."""
    done = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env=environment("kafka://x", tmp_path, ORDERS_PARTITIONS="many"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "ORDERS_PARTITIONS" in done.stderr
