"""What readers cost, and how long they wait: `python -m benchmarks.web` (--help).

One worker with the full pipeline on the embedded broker takes events at a steady rate, or as fast as it can; with and
without readers that look keys up over HTTP, in turn, several rounds. All of it shares one machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from app.sources.samples import sample_events
from benchmarks.figures import spread
from benchmarks.machine import machine
from benchmarks.processes import ROOT, Session
from benchmarks.report import Report, Table, progress
from tools.local_kafka import free_port

FAUST = str(Path(sys.executable).with_name("faust"))
KNOWN_EVENTS = 40_000
PATHS = 500
FULL_SECONDS, FULL_RATE = 8.0, 50_000
"""How long a worker takes as much as it can, and how many events per second are there for that."""

COLUMNS = {
    "events/s": 0,
    "÷ without readers": 2,
    "largest lag": 0,
    "look-ups/s": 0,
    "p50 ms": 1,
    "p99 ms": 1,
    "worker CPU %": 0,
}


class Phase(NamedTuple):
    """What came of some seconds. Times in ms."""

    events: float
    lag: int
    reads: float
    p50: float | None
    p99: float | None
    cpu: float


class Bench:
    """A worker, events to send it, and paths to ask it for."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self._folder = folder
        self._port = free_port()
        self._number = 0
        self.environment = {
            "ORDERS_DATA_DIR": str(folder / "data"),
            "ORDERS_WEB_PORT": str(self._port),
            "ORDERS_WEB_RATE": "1000000",
        }
        self.paths: list[str] = []

    @contextmanager
    def worker(self) -> Iterator[Session]:
        """Run a worker, with some orders to ask for."""
        command = [FAUST, "-A", "app", "worker", "-l", "warn"]
        with Session(command, self._folder / "worker.log", self.environment) as session:
            self._wait_until_ready(session)
            events = self.write(KNOWN_EVENTS)
            self.emit(events, 0).wait()
            self.wait_until_read()
            ids = {(event["customer_id"], event["order_id"]) for event in map(json.loads, events.open())}
            for customer, order in sorted(ids, key=str)[: PATHS // 2]:
                self.paths += [f"/api/customers/{customer}", f"/api/orders/{order}?customer_id={customer}"]
            yield session

    def write(self, count: int) -> Path:
        """Write so many new events to a file, that sending them takes no time of the machine for making them."""
        self._number += 1
        path = self._folder / f"events-{self._number}.jsonl"
        with path.open("wb") as file:
            for line in sample_events(count, seed=self._number + 100, customers=1_000):
                file.write(line + b"\n")
        return path

    def emit(self, events: Path, rate: int) -> "subprocess.Popen[bytes]":
        """Send the events of a file, so many per second; 0: as fast as can be."""
        command = [FAUST, "-A", "app", "emit", str(events), *(["--rate", str(rate)] if rate else [])]
        env = {**_environment(), **self.environment}
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)

    def read(self, seconds: float, every: float) -> "subprocess.Popen[bytes]":
        """Let all readers read."""
        command = [sys.executable, "-m", "benchmarks.readers", str(self._port), str(self.options.readers), str(every)]
        return subprocess.Popen([*command, str(seconds), *self.paths], cwd=ROOT, stdout=subprocess.PIPE)

    def status(self) -> dict[str, Any]:
        """Return how the worker stands."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/status", timeout=30) as answer:
            told: dict[str, Any] = json.load(answer)
            return told

    def offsets(self) -> int:
        """Return how many records are committed."""
        return sum(partition["next_offset"] or 0 for partition in self.status()["partitions"])

    def wait_until_read(self) -> None:
        """Wait until nothing waits any more."""
        while self.status()["lag"] != 0:
            time.sleep(0.05)

    def _wait_until_ready(self, session: Session) -> None:
        while True:
            session.check_alive()
            try:
                if self.status()["ready"]:
                    return
            except OSError:
                time.sleep(0.1)


def steady(bench: Bench, session: Session, every: float | None) -> Phase:
    """Take events at the wanted rate for some seconds; `every` None: without readers."""
    seconds, rate = bench.options.seconds, bench.options.rate
    sender = bench.emit(bench.write(int(rate * (seconds + 2))), rate)
    time.sleep(2.0)  # until the sender is at its rate
    return _measured(bench, session, every, seconds, sender)


def full(bench: Bench, session: Session, every: float | None) -> Phase:
    """Take as many events as can be, more than it can take are sent."""
    seconds = min(bench.options.seconds, FULL_SECONDS)
    sender = bench.emit(bench.write(int(seconds * FULL_RATE)), 0)
    time.sleep(1.0)  # until the sender has started
    return _measured(bench, session, every, seconds, sender)


def _measured(
    bench: Bench, session: Session, every: float | None, seconds: float, sender: "subprocess.Popen[bytes]"
) -> Phase:
    readers = None if every is None else bench.read(seconds, every)
    cpu, begin, first, lag = session.cpu_seconds(), time.monotonic(), bench.offsets(), 0
    while (now := time.monotonic()) < begin + seconds:
        lag = max(lag, bench.status()["lag"] or 0)
        time.sleep(min(0.5, begin + seconds - now))
    took, events = time.monotonic() - begin, bench.offsets() - first
    used = 100 * (session.cpu_seconds() - cpu) / took
    times: list[float] = []
    if readers is not None:
        told = json.loads(readers.communicate()[0])
        times = told["times"]
        if told["failed"]:
            progress(f"  {told['failed']} look-ups were not answered with 200")
    sender.wait()
    bench.wait_until_read()
    session.check_alive()
    p50, p99 = (statistics.quantiles(times, n=100)[at] for at in (49, 98)) if times else (None, None)
    return Phase(events / took, lag, len(times) / took, p50, p99, used)


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web", description=__doc__)
    parser.add_argument("--readers", type=int, default=200, help="connections that look keys up (200)")
    parser.add_argument("--rate", type=int, default=5_000, help="events per second (5000)")
    parser.add_argument("--every", type=float, default=0.2, help="seconds between two look-ups of a reader (0.2)")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each measurement (15)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all figures to a file too")
    options = parser.parse_args()
    report = Report(options.json)
    report.say(machine())
    with tempfile.TemporaryDirectory(prefix="orderflow-web-") as folder:
        bench = Bench(options, Path(folder))
        with bench.worker() as session:
            for title, phase in (
                (f"Look-ups of keys beside {options.rate:,} events/s", steady),
                ("Look-ups of keys beside as many events as can be", full),
            ):
                report.add(_table(title, bench, session, phase))


def _table(title: str, bench: Bench, session: Session, phase: Any) -> Table:
    options = bench.options
    modes: dict[str, float | None] = {
        "without readers": None,
        f"{options.readers} readers, each every {options.every:g} s": options.every,
        f"{options.readers} readers without a pause": 0.0,
    }
    found: dict[str, list[Phase]] = {mode: [] for mode in modes}
    for number in range(options.rounds):
        for mode in list(modes)[:: 1 if number % 2 == 0 else -1]:
            found[mode].append(phase(bench, session, modes[mode]))
            progress(f"  {title}, {mode}: {found[mode][-1]}")
    table = Table(title, COLUMNS)
    alone = spread([run.events for run in found["without readers"]]).median
    for mode, runs in found.items():
        events = spread([run.events for run in runs])
        waits = [
            None if modes[mode] is None else spread([getattr(run, name) for run in runs]) for name in ("p50", "p99")
        ]
        lag, reads, cpu = (spread([getattr(run, name) for run in runs]) for name in ("lag", "reads", "cpu"))
        table.add(mode, events, events.median / alone, lag, reads, *waits, cpu)
    table.notes = ["one worker with the full pipeline, embedded broker; sender and readers share the machine's cores"]
    return table


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}


if __name__ == "__main__":
    main()
