"""Throughput, latency and recovery of one worker on a real local Kafka, beside stock Faust in the same run.

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
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import aiokafka
import faust
import orjson
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.commands._sending import key_of
from app.sources.samples import sample_events
from benchmarks.harness import Candidate, drain, fill, loaded_rows, print_table, running
from tools.local_kafka import LocalKafka

PARTITIONS = 4
CUSTOMERS = {"1,000 customers": 1_000, "every customer new": None}
SIMPLE, FULL = "benchmarks.simple_job:app", "app"
JOBS = {SIMPLE: "(a) simple job, exactly once", FULL: "(b) full pipeline, exactly once"}
STOCK = "benchmarks.peers.stock_faust:app"
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

    def __init__(self, kafka: LocalKafka, folder: Path, events: int, stock_events: int) -> None:
        self.kafka = kafka
        self.folder = folder
        self.events = events
        self.stock_events = stock_events
        self._runs = 0

    def env(self, prefix: str, app_id: str) -> dict[str, str]:
        """Return the settings of a worker on the topics of `prefix`."""
        return {
            "ORDERS_BROKER": self.kafka.url,
            "ORDERS_TOPIC_PREFIX": prefix,
            "ORDERS_APP_ID": app_id,
            "ORDERS_PARTITIONS": str(PARTITIONS),
            "ORDERS_DATA_DIR": str(self.folder / "data"),
        }

    def log(self) -> Path:
        """Return a new log file."""
        self._runs += 1
        return self.folder / f"worker-{self._runs}.log"

    def prepare(self, prefix: str, events: int, customers: int | None) -> int:
        """Fill an orders topic; returns the bytes per event."""
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        config = {"max.message.bytes": str(16 << 20)}
        for future in admin.create_topics([NewTopic(f"{prefix}orders", PARTITIONS, 1, config=config)]).values():
            future.result(30)
        size = 0

        def lines() -> Iterator[bytes]:
            nonlocal size
            for number, line in enumerate(sample_events(events, seed=7, customers=customers)):
                event = line[:-1] + USUAL_EXTRAS % number
                size += len(event)
                yield event

        started = time.monotonic()
        fill(self.kafka.bootstrap, f"{prefix}orders", lines())
        seconds = time.monotonic() - started
        print(
            f"filled {prefix}orders: {events:,} events of {size / events:.0f} bytes in {seconds:.0f} s",
            flush=True,
        )
        return size // events

    def job(self, app: str, prefix: str) -> tuple[float, float, float]:
        """Run one worker from nothing through the whole topic."""
        with running(app, self.env(prefix, f"run{self._runs}"), self.log()) as worker:
            return drain(worker, self.events)

    def stock(self, prefix: str) -> tuple[float, float, float]:
        """Run stock Faust over part of the topic; it is too slow for all of it."""
        with running(STOCK, self.env(prefix, f"run{self._runs}"), self.log()) as worker:
            first: tuple[int, float, float] | None = None
            while True:
                worker.check_alive()
                counts = [int(line.split()[-1]) for line in worker.text().splitlines() if "processed " in line]
                if counts and counts[-1] > 0:
                    now = (counts[-1], time.monotonic(), worker.cpu_seconds())
                    first = first or now
                    done = now[0] - first[0]
                    if done >= self.stock_events or (done and now[1] - first[1] > 60):
                        seconds = now[1] - first[1]
                        return done / seconds, (now[2] - first[2]) / done * 1e6, (now[2] - first[2]) / seconds
                time.sleep(0.2)

    def recovery(self, prefix: str) -> tuple[int, float, float]:
        """Return (rows, seconds, bytes held) of a restart on the state that the full pipeline made of a topic."""
        env = self.env(prefix, "recovery")
        with running(FULL, env, self.log()) as worker:
            drain(worker, self.events)
        with running(FULL, env, self.log()) as worker:
            while worker.progress() is None:
                worker.check_alive()
                time.sleep(0.1)
            rows, seconds = loaded_rows(worker.text())
            return rows, seconds, worker.resident_bytes()

    def latency(self, prefix: str, seconds: int) -> list[float]:
        """Produce at a steady rate; returns how long each probed order took from there to being readable, in ms."""
        self.prepare(prefix, 1, 1_000)
        with running(FULL, self.env(prefix, "latency"), self.log()) as worker:
            while worker.progress() is None:
                worker.check_alive()
                time.sleep(0.1)
            return probe(self.kafka.bootstrap, f"{prefix}orders", worker, seconds)


def probe(bootstrap: str, topic: str, worker: Candidate, seconds: int) -> list[float]:
    """Send at LATENCY_RATE, a warm-up first; ask for every PROBE_EVERY-th created order until it is there.

    Orders are probed by threads of their own, over kept connections, each from the moment it was produced: one that
    takes long delays neither the sending nor the probing of others.
    """
    probes: queue.Queue[tuple[str, float] | None] = queue.Queue()
    waits: list[float] = []
    probers = [threading.Thread(target=_probe_all, args=(worker.port, probes, waits)) for _ in range(PROBERS)]
    for prober in probers:
        prober.start()
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 0})
    created = 0
    started = time.monotonic()
    for number, line in enumerate(sample_events(LATENCY_RATE * (WARM_UP_SECONDS + seconds), seed=11, customers=1_000)):
        if number % SENT_AT_ONCE == 0:
            time.sleep(max(0.0, started + number / LATENCY_RATE - time.monotonic()))
            producer.poll(0)
        producer.produce(topic, key=key_of(line), value=line)
        if b'"order.created"' in line:
            created += 1
            if created % PROBE_EVERY == 0 and number >= LATENCY_RATE * WARM_UP_SECONDS:
                event = orjson.loads(line)
                order, customer = (quote(str(event[name]), safe="") for name in ("order_id", "customer_id"))
                probes.put((f"/api/orders/{order}?customer_id={customer}", time.monotonic()))
    producer.flush()
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
    parser.add_argument("--events", type=int, default=1_000_000, help="events per topic (default: %(default)s)")
    parser.add_argument(
        "--stock-events", type=int, default=20_000, help="events for stock Faust (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=1, help="rounds; the median is printed (default: %(default)s)")
    parser.add_argument("--only", choices=["throughput", "latency", "recovery"], help="run one part")
    parser.add_argument("--latency-seconds", type=int, default=30)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="orderflow-bench-") as folder,
        LocalKafka(Path(folder) / "kafka") as kafka,
    ):
        bench = Bench(kafka, Path(folder), arguments.events, arguments.stock_events)
        describe_machine()
        if arguments.only in (None, "throughput"):
            throughput(bench, arguments.rounds)
        if arguments.only in (None, "recovery"):
            recovery(bench)
        if arguments.only in (None, "latency"):
            latency(bench, arguments.latency_seconds)


def describe_machine() -> None:
    """Print what the figures were measured on."""
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, faust {faust.__version__}, "
        f"aiokafka {aiokafka.__version__}, Kafka on the same machine, {PARTITIONS} partitions, one worker"
    )


def throughput(bench: Bench, rounds: int) -> None:
    """Print events per second and CPU per event of each job and of stock Faust."""
    rows: list[tuple[str, ...]] = []
    for at, (name, customers) in enumerate(CUSTOMERS.items()):
        prefix = f"t{at}."
        bench.prepare(prefix, bench.events, customers)
        results: dict[str, list[tuple[float, float, float]]] = {app: [] for app in [*JOBS, STOCK]}
        for number in range(rounds):
            order = list(JOBS) if number % 2 == 0 else list(reversed(JOBS))
            for app in order:
                results[app].append(bench.job(app, prefix))
        if customers is not None:
            results[STOCK].append(bench.stock(prefix))
        stock = statistics.median(rate for rate, _, _ in results[STOCK]) if results[STOCK] else None
        for app, runs in results.items():
            if runs:
                rate, cpu, share = (statistics.median(run[i] for run in runs) for i in range(3))
                ratio = f"{rate / stock:.0f} x" if stock else ""
                label = JOBS.get(app, "stock Faust, simple job, at least once")
                rows.append((f"{label}, {name}", f"{rate:,.0f}", f"{cpu:.1f}", f"{share:.2f}", ratio))
    print_table("Throughput", ("job", "events/s", "CPU µs/event", "cores", "beside stock Faust"), rows)


def recovery(bench: Bench) -> None:
    """Print how fast a state is read back."""
    bench.prepare("r.", bench.events, None)
    rows, seconds, memory = bench.recovery("r.")
    line = (f"{rows:,}", f"{seconds:.2f}", f"{rows / seconds:,.0f}", f"{memory / 1e6:.0f}")
    print_table("Recovery (full pipeline's state)", ("rows", "seconds", "rows/s", "MB held"), [line])


def latency(bench: Bench, seconds: int) -> None:
    """Print the time from producing an order to reading it over HTTP."""
    waits = sorted(bench.latency("l.", seconds))
    cuts = statistics.quantiles(waits, n=100)
    line = (
        f"{LATENCY_RATE:,}",
        f"{len(waits)}",
        f"{statistics.median(waits):.1f}",
        f"{cuts[98]:.1f}",
        f"{waits[-1]:.1f}",
    )
    print_table("From produce to readable (ms)", ("events/s", "probes", "p50", "p99", "max"), [line])


if __name__ == "__main__":
    main()
