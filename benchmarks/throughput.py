"""Throughput, recovery, latency and memory of one worker on a real broker, beside what users write themselves.

`make bench`, or `python benchmarks/throughput.py --help`.
"""

import argparse
import http.client
import os
import platform
import queue
import statistics
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import faust
import orjson

from app.sources.samples import sample_events
from benchmarks.brokers import BROKERS, Broker, SendAll
from benchmarks.harness import Candidate, drain, loaded_rows, print_table, running

PARTITIONS = 4
CUSTOMERS = {"1,000 customers": 1_000, "every customer new": 0}
SIMPLE, FULL = "benchmarks.simple_job:app", "app"
JOBS = {SIMPLE: "(a) simple job, exactly once", FULL: "(b) full pipeline, exactly once"}
MEMORY_ORDERS = 1_000_000
USUAL_EXTRAS = b',"source":{"shop":"shop-eu-1","app":"checkout","version":"4.12.0"},"trace_id":"%032x"}'
"""Fields that we do not read, as producers add them: they bring an event to about 300 bytes."""
LATENCY_RATE = 2_000
PROBE_EVERY = 25
PROBERS = 4
SENT_AT_ONCE = 10
WARM_UP_SECONDS = 10
"""A broker that has just started answers its first transactions slowly, until the JVM has compiled them."""
PROBE_POLL_SECONDS = 0.003


class Bench:
    """One run on one broker."""

    def __init__(self, broker: Broker, folder: Path, events: int, peer_events: int) -> None:
        self.broker = broker
        self.folder = folder
        self.events = events
        self.peer_events = peer_events
        self._runs = 0

    def env(self, prefix: str, app_id: str) -> dict[str, str]:
        """Return the settings of a worker on the topics of `prefix`."""
        return self.broker.env(prefix, app_id, PARTITIONS)

    def log(self) -> Path:
        """Return a new log file."""
        self._runs += 1
        return self.folder / f"worker-{self._runs}.log"

    def prepare(self, prefix: str, events: Iterable[bytes]) -> int:
        """Fill an orders topic; returns how many events."""
        size = count = 0

        def usual() -> Iterator[bytes]:
            nonlocal size, count
            for line in events:
                event = line[:-1] + USUAL_EXTRAS % count
                size += len(event)
                count += 1
                yield event

        started = time.monotonic()
        self.broker.fill(prefix, PARTITIONS, usual())
        seconds = time.monotonic() - started
        print(f"filled {prefix}orders: {count:,} events of {size / count:.0f} bytes in {seconds:.0f} s", flush=True)
        return count

    def job(self, app: str, prefix: str) -> tuple[float, float, float]:
        """Run one worker from nothing through the whole topic."""
        with running(app, self.env(prefix, f"run{self._runs}"), self.log()) as worker:
            return drain(worker, self.events)

    def peer(self, setting: str, prefix: str) -> tuple[float, float, float]:
        """Run a peer of the broker over part of a topic; it is too slow for all of it."""
        with self.broker.peer(setting, prefix, self.env(prefix, f"run{self._runs}"), self.log()) as worker:
            first: tuple[int, float, float] | None = None
            while True:
                worker.check_alive()
                counts = [int(line.split()[-1]) for line in worker.text().splitlines() if "processed " in line]
                if counts and counts[-1] > 0:
                    now = (counts[-1], time.monotonic(), worker.cpu_seconds())
                    first = first or now
                    done = now[0] - first[0]
                    if done >= self.peer_events or (done and now[1] - first[1] > 60):
                        seconds = now[1] - first[1]
                        return done / seconds, (now[2] - first[2]) / done * 1e6, (now[2] - first[2]) / seconds
                time.sleep(0.2)

    def recovery(self, prefix: str) -> tuple[int, float, float]:
        """Return (rows, seconds, bytes held) of a restart on the state that the full pipeline made of a topic."""
        env = self.env(prefix, "recovery")
        with running(FULL, env, self.log()) as worker:
            drain(worker, self.events)
        with running(FULL, env, self.log()) as worker:
            _until_running(worker)
            rows, seconds = loaded_rows(worker.text())
            return rows, seconds, worker.resident_bytes()

    def latency(self, prefix: str, seconds: int) -> list[float]:
        """Produce at a steady rate; returns how long each probed order took from there to being readable, in ms."""
        self.prepare(prefix, sample_events(1))
        with (
            running(FULL, self.env(prefix, "latency"), self.log()) as worker,
            self.broker.producing(prefix, PARTITIONS) as send_all,
        ):
            _until_running(worker)
            return probe(send_all, worker, seconds)


def _until_running(worker: Candidate) -> None:
    while worker.progress() is None:
        worker.check_alive()
        time.sleep(0.1)


def probe(send_all: SendAll, worker: Candidate, seconds: int) -> list[float]:
    """Send at LATENCY_RATE, a warm-up first; ask for every PROBE_EVERY-th created order until it is there.

    Orders are probed by threads of their own, over kept connections, each from the moment it was produced: one that
    takes long delays neither the sending nor the probing of others.
    """
    probes: queue.Queue[tuple[str, float] | None] = queue.Queue()
    waits: list[float] = []
    probers = [threading.Thread(target=_probe_all, args=(worker.port, probes, waits)) for _ in range(PROBERS)]
    for prober in probers:
        prober.start()
    created = sent = 0
    lines = sample_events(LATENCY_RATE * (WARM_UP_SECONDS + seconds), seed=11, customers=1_000)
    started = time.monotonic()
    while chunk := list(islice(lines, SENT_AT_ONCE)):
        time.sleep(max(0.0, started + sent / LATENCY_RATE - time.monotonic()))
        send_all(chunk)
        produced = time.monotonic()
        sent += len(chunk)
        for line in chunk:
            if b'"order.created"' in line:
                created += 1
                if created % PROBE_EVERY == 0 and sent > LATENCY_RATE * WARM_UP_SECONDS:
                    event = orjson.loads(line)
                    order, customer = (quote(str(event[name]), safe="") for name in ("order_id", "customer_id"))
                    probes.put((f"/api/orders/{order}?customer_id={customer}", produced))
    for _ in probers:
        probes.put(None)
    for prober in probers:
        prober.join()
    return waits


def _probe_all(port: int, probes: "queue.Queue[tuple[str, float] | None]", waits: list[float]) -> None:
    """Ask for one order after the other until each is there; add the milliseconds that took since it was produced."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while (found := probes.get()) is not None:
        path, produced = found
        while True:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            if answer.status == HTTPStatus.OK:
                waits.append((time.monotonic() - produced) * 1_000)
                break
            time.sleep(PROBE_POLL_SECONDS)
    connection.close()


def main() -> None:
    """Run what the arguments ask for and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", choices=list(BROKERS), default="kafka", help="default: %(default)s")
    parser.add_argument("--events", type=int, default=1_000_000, help="events per topic (default: %(default)s)")
    parser.add_argument("--peer-events", type=int, default=20_000, help="events for the peer (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="rounds; the median is printed (default: %(default)s)")
    parser.add_argument("--only", choices=list(PARTS), help="run one part")
    parser.add_argument("--latency-seconds", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orderflow-bench-") as folder:
        broker = BROKERS[arguments.broker](Path(folder))
        try:
            bench = Bench(broker, Path(folder), arguments.events, arguments.peer_events)
            print(
                f"{os.cpu_count()} cores, Python {platform.python_version()}, faust {faust.__version__}, "
                f"{broker.describe} on the same machine, {PARTITIONS} partitions, one worker"
            )
            for name, part in PARTS.items():
                if arguments.only in (None, name):
                    part(bench, arguments)
        finally:
            broker.close()


def throughput(bench: Bench, arguments: argparse.Namespace) -> None:
    """Print events per second and CPU per event of each job and of the broker's peer."""
    rows: list[tuple[str, ...]] = []
    for at, (name, customers) in enumerate(CUSTOMERS.items()):
        prefix = f"t{at}."
        bench.prepare(prefix, sample_events(bench.events, seed=7, customers=customers))
        results: dict[str, list[tuple[float, float, float]]] = {app: [] for app in JOBS}
        for number in range(arguments.rounds):
            order = list(JOBS) if number % 2 == 0 else list(reversed(JOBS))
            for app in order:
                results[app].append(bench.job(app, prefix))
        if customers:
            results |= {peer: [bench.peer(setting, prefix)] for peer, setting in bench.broker.peers.items()}
        simple = statistics.median(rate for rate, _, _ in results[SIMPLE])
        for job, runs in results.items():
            rate, cpu, share = (statistics.median(run[i] for run in runs) for i in range(3))
            ratio = "" if job in JOBS else f"1 / {simple / rate:.0f}"
            rows.append((f"{JOBS.get(job, job)}, {name}", f"{rate:,.0f}", f"{cpu:.1f}", f"{share:.2f}", ratio))
    print_table("Throughput", ("job", "events/s", "CPU µs/event", "cores", "of (a)"), rows)


def recovery(bench: Bench, _: argparse.Namespace) -> None:
    """Print how fast a state is read back."""
    bench.prepare("r.", sample_events(bench.events, seed=7, customers=0))
    rows, seconds, memory = bench.recovery("r.")
    line = (f"{rows:,}", f"{seconds:.2f}", f"{rows / seconds:,.0f}", f"{memory / 1e6:.0f}")
    print_table("Recovery (full pipeline's state)", ("rows", "seconds", "rows/s", "MB held"), [line])


def latency(bench: Bench, arguments: argparse.Namespace) -> None:
    """Print the time from producing an order to reading it over HTTP."""
    waits = sorted(bench.latency("l.", arguments.latency_seconds))
    cuts = statistics.quantiles(waits, n=100)
    line = (
        f"{LATENCY_RATE:,}",
        f"{len(waits)}",
        f"{statistics.median(waits):.1f}",
        f"{cuts[98]:.1f}",
        f"{waits[-1]:.1f}",
    )
    print_table("From produce to readable (ms)", ("events/s", "probes", "p50", "p99", "max"), [line])


def memory(bench: Bench, _: argparse.Namespace) -> None:
    """Print what a server that keeps everything in memory holds for so many orders, with the usual retention."""
    before = bench.broker.memory()
    if before is None:
        return
    orders = 0

    def lines() -> Iterator[bytes]:
        nonlocal orders
        for line in sample_events(10 * MEMORY_ORDERS, seed=7, customers=MEMORY_ORDERS // 10):
            orders += b'"order.created"' in line
            if orders > MEMORY_ORDERS:
                return
            yield line

    count = bench.prepare("m.", lines())
    bench.broker.forget("m.", PARTITIONS)
    with running(FULL, bench.env("m.", "memory"), bench.log()) as worker:
        drain(worker, count)
        held = worker.resident_bytes()
    after = bench.broker.memory() or 0
    line = (f"{MEMORY_ORDERS:,}", f"{count:,}", f"{(after - before) / 1e6:,.0f}", f"{held / 1e6:,.0f}")
    print_table("Memory", ("orders", "events", "MB of the server", "MB of the worker"), [line])


PARTS = {"throughput": throughput, "recovery": recovery, "latency": latency, "memory": memory}


if __name__ == "__main__":
    main()
