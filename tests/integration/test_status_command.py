"""`faust -A app status`, with real workers: what it prints, and what its exit code says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import wait_until
from tests.workers import Worker

BAD = '{"event_type": "order.created", "event_id": "e%d", "customer_id": "c"}'


class Group:
    """Workers over one partition on an embedded broker, and what `status` says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings = {
            "ORDERS_DATA_DIR": str(folder / "data"),
            "ORDERS_PARTITIONS": "1",
            "ORDERS_PENDING_WARNING": "1",
            "ORDERS_PENDING_CRITICAL": "3",
            "ORDERS_SESSION_TIMEOUT": "2",
        }
        self.workers: list[Worker] = []
        self.add()

    def add(self) -> Worker:
        """Start a worker."""
        worker = Worker(f"worker-{len(self.workers)}", self._folder, self._settings).start()
        self.workers.append(worker)
        return worker

    def send(self, *lines: str) -> None:
        """Send events."""
        path = self._folder / "events.jsonl"
        path.write_text("\n".join(lines) + "\n")
        assert self.workers[0].command("emit", str(path)).returncode == 0

    def status(self, *options: str) -> tuple[int, str]:
        """Return the exit code and all output."""
        done = self.workers[0].command("status", *options)
        return done.returncode, (done.stdout + done.stderr).decode()

    def levels(self) -> dict[str, str]:
        """Return the level of each check, as `status --json` has it."""
        try:
            told: dict[str, Any] = json.loads(self.status("--json")[1])
        except json.JSONDecodeError:
            return {}
        return {check["name"]: check["level"] for check in told["health"]["checks"]}

    def reaches(self, code: int) -> str:
        """Wait until `status` ends with a code; returns what it prints then."""
        wait_until(lambda: self.status()[0] == code, 30, f"exit code {code}", lambda: self.status()[1])
        return self.status()[1]


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    """Start one worker; end all."""
    running = Group(tmp_path)
    try:
        yield running
    finally:
        for worker in running.workers:
            worker.end()


def test_the_exit_code_is_the_health(group: Group) -> None:
    """0 with nothing wrong, 1 with a warning, 2 where it is critical, or where nobody answers."""
    told = group.reaches(0)
    assert "orderflow on embedded://: healthy" in told
    assert group.workers[0].url in told
    group.send(BAD % 1)
    assert "pending       warning   1 dead letters are open (warning from 1, critical from 3)" in group.reaches(1)
    group.send(BAD % 2, BAD % 3)
    assert "open dead letters: invalid_event 3" in group.reaches(2)
    group.workers[0].stop()
    code, told = group.status()
    assert (code, told.startswith("status: error: no worker answers at http://127.0.0.1:")) == (2, True)
    assert told.count("\n") == 1


@pytest.mark.long
def test_a_worker_that_has_nothing_to_do_is_told(group: Group) -> None:
    """There is one partition only; any worker knows of the other."""
    group.reaches(0)
    idle = group.add()
    wait_until(lambda: group.levels().get("idle_workers") == "warning", 30, "an idle worker", idle.tail)
    wait_until(lambda: "owns no partition" in group.status("--url", idle.url)[1], 30, "its own answer", idle.tail)
    idle.stop()
    wait_until(lambda: group.levels().get("idle_workers") == "healthy", 30, "that it has gone", idle.tail)


@pytest.mark.long
def test_an_owner_that_died_is_critical_until_another_has_taken_over(group: Group) -> None:
    """Its partition is not read meanwhile."""
    group.reaches(0)
    second = group.add()
    wait_until(lambda: group.levels().get("idle_workers") == "warning", 30, "a second worker", second.tail)
    group.workers[0].kill()
    group.workers[0] = second
    wait_until(lambda: group.levels().get("partitions") == "critical", 10, "a partition that nobody reads", second.tail)
    wait_until(lambda: group.levels().get("partitions") == "healthy", 30, "that it is taken over", second.tail)


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:9", "ftp://127.0.0.1"])
def test_an_address_without_a_worker_is_one_line(tmp_path: Path, url: str) -> None:
    """And says what to do."""
    done = Worker("shell", tmp_path, {}).command("status", "--url", url)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert b"--url" in done.stderr
