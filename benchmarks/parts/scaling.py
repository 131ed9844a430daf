"""Whether the CPU per event stays the same with more partitions and with more rows."""

from collections.abc import Sequence

from benchmarks.bench import Bench
from benchmarks.candidates.candidate import Candidate
from benchmarks.figures import Drained, spread
from benchmarks.report import Table
from benchmarks.workload import Workload

PARTITIONS = {False: (1, 4, 16, 64), True: (1, 16)}
ROWS = {False: (10_000, 100_000, 1_000_000), True: (1_000, 10_000)}
"""By whether the run is a quick one."""
CUSTOMERS_PER_PARTITION = 250
"""As in the simple job. With less in each partition, steps would change fewer rows, and be cheaper for that alone."""
EVENTS_PER_ROW = 3.5
"""Of an order, on average, in the sample orders."""
COLUMNS = {"events/s": 0, "CPU µs/event": 2, "CPU ÷ first line": 2}


def run(bench: Bench, side: str) -> None:
    """Print CPU per event over partitions, and over rows that are there already."""
    events, quick = max(1_000, bench.options.events // 2), bench.options.quick
    for candidate in bench.orderflow(side, "simple"):
        if candidate.reference:
            by_partitions = [
                Workload(CUSTOMERS_PER_PARTITION * count, events, partitions=count) for count in PARTITIONS[quick]
            ]
            _table(bench, candidate, f"more partitions of {CUSTOMERS_PER_PARTITION} customers each", by_partitions)
            by_rows = [Workload(0, int(count * EVENTS_PER_ROW), again=events) for count in ROWS[quick]]
            _table(bench, candidate, "4 partitions, more rows, all there before", by_rows)


def _table(bench: Bench, candidate: Candidate, title: str, workloads: Sequence[Workload]) -> None:
    def once(workload: Workload) -> Drained:
        return bench.run(candidate, workload, begin=workload.events if workload.again else 0)

    results = bench.rounds(workloads, once)
    table = Table(f"Scaling of {candidate.name}: simple job, {title}", COLUMNS)
    first: float | None = None
    for workload, runs in results.items():
        cpu = spread([run.cpu for run in runs])
        first = first or cpu.median
        rows = workload.orders if workload.again else workload.customers
        rate = spread([run.rate for run in runs])
        table.add(f"{workload.partitions} partitions, {rows:,} rows", rate, cpu, cpu.median / first)
    bench.report.add(table)
    for workload in workloads:
        bench.broker(candidate.broker).forget(workload)
