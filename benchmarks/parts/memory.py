"""What rows cost in memory: of the worker, and of a server that keeps everything there."""

from typing import NamedTuple

from benchmarks.bench import Bench
from benchmarks.candidates.candidate import Candidate
from benchmarks.draining import wait_until
from benchmarks.figures import spread
from benchmarks.report import Table, progress
from benchmarks.workload import Workload

EARLY = 0.2
"""Share of the events after which memory is taken first: what does not grow with rows is there by then."""
PER = 100_000
COLUMNS = {"orders": 0, "MB in the end": 0, "MB per 100 k orders": 1, "server MB per 100 k orders": 1}


class Held(NamedTuple):
    """Bytes held at a moment, after so many events."""

    events: int
    worker: int
    server: int | None


def run(bench: Bench, side: str) -> None:
    """Print memory per 100,000 orders, each of a customer of its own: one row of the simple job."""
    workload = Workload(0, bench.options.events)
    candidates = [each for each in bench.candidates(side) if not each.brings_events and each.limit is None]
    candidates += bench.orderflow(side, "pipeline")

    def once(candidate: Candidate) -> tuple[Held, Held]:
        with bench.placed(candidate, workload) as place, candidate.start(place) as worker:

            def held(share: float) -> Held:
                wait_until(worker, lambda: (worker.done() or 0) >= share * workload.total, "progress", 0.1)
                return Held(worker.done() or 0, worker.session.resident_bytes(), place.broker.memory())

            early, late = held(EARLY), held(1)
            progress(f"  {candidate.name}, {candidate.job} job: {late.worker / 1e6:,.0f} MB")
            return early, late

    results = bench.rounds(candidates, once)
    share = workload.orders / workload.events
    table = Table("Memory, every customer new", COLUMNS)
    for candidate, runs in results.items():
        orders = [(late.events - early.events) * share / PER for early, late in runs]
        growth = [(late.worker - early.worker) / 1e6 for early, late in runs]
        server = [(late.server - early.server) / 1e6 for early, late in runs if late.server and early.server]
        table.add(
            f"{candidate.name}, {candidate.job} job",
            workload.orders,
            spread([late.worker / 1e6 for _, late in runs]),
            spread([grown / count for grown, count in zip(growth, orders, strict=True)]),
            spread([grown / count for grown, count in zip(server, orders, strict=True)]) if server else None,
        )
    table.notes = [
        f"per 100 k orders: what is added after the first {EARLY:.0%} of the events",
        "simple job: one row per order; full pipeline: an order, a customer, and rows that orders share",
        "Kafka Streams keeps rows on disk: its memory is what the JVM takes",
    ]
    bench.report.add(table)
