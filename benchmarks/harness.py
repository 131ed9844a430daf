"""Shared by the benchmarks: fill topics, start a candidate's worker, watch its progress and its CPU time."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.local_kafka import free_port

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
POLL_SECONDS = 0.1
GIVE_UP_SECONDS = 600.0
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Progress:
    """How far a worker is: records done since the topics' beginning, records waiting, CPU seconds it has used."""

    done: int
    waiting: int
    cpu: float
    at: float


class Candidate:
    """A worker process of any kind."""

    def __init__(self, command: Sequence[str], port: int, env: dict[str, str], log: Path) -> None:
        self.port = port
        self.log = log
        self._file = log.open("wb")
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **env, "ORDERS_WEB_PORT": str(self.port), "PYTHONUNBUFFERED": "1"},
            stdout=self._file,
            stderr=subprocess.STDOUT,
        )

    def cpu_seconds(self) -> float:
        """Return the user and system time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def resident_bytes(self) -> int:
        """Return the memory the process holds now."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def get(self, path: str) -> Any:
        """Return the JSON that the worker answers to a path, None while it does not answer or says no."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return json.load(answer)
        except (OSError, urllib.error.HTTPError):
            return None

    def progress(self) -> Progress | None:
        """Return how far the worker is by its own status, None while partitions are being taken over."""
        status = self.get("/api/status")
        if status is None:
            return None
        partitions = status["partitions"]
        if not partitions or any(p["state"] != "running" or p["end_offset"] is None for p in partitions):
            return None
        done = sum(p["next_offset"] for p in partitions)
        return Progress(done, sum(p["lag"] for p in partitions), self.cpu_seconds(), time.monotonic())

    def check_alive(self) -> None:
        """Raise if the worker has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the worker ended with {self.process.returncode}:\n{self.log.read_text()[-3000:]}")

    def text(self) -> str:
        """Return what the worker has logged."""
        return self.log.read_text()

    def stop(self) -> None:
        """End the worker."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._file.close()


def running(app: str, env: dict[str, str], log: Path) -> AbstractContextManager[Candidate]:
    """Run a worker of `faust -A app` for the length of a `with` block."""
    port = free_port()
    command = [str(BIN / "faust"), "-A", app, "worker", "-l", "info", "--web-port", str(port)]
    return running_command(command, env, log, port)


@contextmanager
def running_command(command: Sequence[str], env: dict[str, str], log: Path, port: int = 0) -> Iterator[Candidate]:
    """Run a worker by its command line for the length of a `with` block."""
    candidate = Candidate(command, port, env, log)
    try:
        yield candidate
    finally:
        candidate.stop()


def drain(candidate: Candidate, total: int) -> tuple[float, float, float]:
    """Wait until `total` records are done; returns (events per second, CPU µs per event, share of one core).

    Measured from the first status with all partitions running to the last record's commit.
    """
    first: Progress | None = None
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < give_up:
        candidate.check_alive()
        now = candidate.progress()
        if now is not None:
            first = first or now
            if now.waiting == 0 and now.done >= total:
                seconds, events = now.at - first.at, now.done - first.done
                return events / seconds, (now.cpu - first.cpu) / events * 1e6, (now.cpu - first.cpu) / seconds
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"not done within {GIVE_UP_SECONDS:.0f} s:\n{candidate.text()[-3000:]}")


def loaded_rows(log: str) -> tuple[int, float]:
    """Return how many rows a worker read back at its start and how long the slowest partition took, from its log."""
    found = re.findall(r"claimed, (\d+) rows loaded in ([\d.]+) s", log)
    return sum(int(rows) for rows, _ in found), max((float(seconds) for _, seconds in found), default=0.0)


def print_table(title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print rows under a title, columns aligned."""
    widths = [max(len(line[at]) for line in [header, *rows]) for at in range(len(header))]
    print(f"\n{title}")
    for line in [header, *rows]:
        print(
            "  "
            + "  ".join(
                cell.ljust(width) if at == 0 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
        )
    sys.stdout.flush()
