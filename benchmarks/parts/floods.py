"""How fast a worker is while every event is bad, and what that does to its memory."""

from typing import NamedTuple

from benchmarks.bench import Bench
from benchmarks.candidates.candidate import Candidate
from benchmarks.draining import drain
from benchmarks.figures import Drained, spread
from benchmarks.report import Table, progress
from benchmarks.workload import FLOODS, Workload

CUSTOMERS = 1_000
COLUMNS = {"events": 0, "events/s": 0, "CPU µs/event": 1, "speed ÷ good events": 2, "worker MB in the end": 0}


class Flooded(NamedTuple):
    """A run, and the worker's memory at its end, in bytes."""

    drained: Drained
    memory: int


def run(bench: Bench, side: str) -> None:
    """Print speed and memory of the full pipeline for each kind of bad events, beside that for good ones."""
    workloads = [Workload(CUSTOMERS, max(1_000, bench.options.events // 2), flood=flood) for flood in ("", *FLOODS)]
    for candidate in bench.orderflow(side, "pipeline"):
        _one(bench, candidate, workloads)


def _one(bench: Bench, candidate: Candidate, workloads: list[Workload]) -> None:
    def once(workload: Workload) -> Flooded:
        with bench.placed(candidate, workload) as place, candidate.start(place) as worker:
            drained = drain(worker, workload.total)
            memory = worker.session.resident_bytes()
            progress(f"  {candidate.name}, {workload.name}: {drained.rate:,.0f} events/s, {memory / 1e6:,.0f} MB")
            return Flooded(drained, memory)

    results = bench.rounds(workloads, once)
    table = Table(f"Floods of bad events, {candidate.name}", COLUMNS)
    good = spread([run.drained.rate for run in results[workloads[0]]]).median if workloads[0] in results else None
    for workload, runs in results.items():
        rate = spread([run.drained.rate for run in runs])
        table.add(
            workload.name,
            workload.total,
            rate,
            spread([run.drained.cpu for run in runs]),
            rate.median / good if good else None,
            spread([run.memory / 1e6 for run in runs]),
        )
    table.notes = ["letters take at most ORDERS_LETTERS_MB (128) a partition: beyond that old ones are deleted"]
    bench.report.add(table)
    for workload in workloads:
        bench.broker(candidate.broker).forget(workload)
