"""The simple job: validate every event fully, keep one total per customer. Every candidate does it."""

from benchmarks.bench import Bench
from benchmarks.parts.throughput import throughput
from benchmarks.workload import Workload


def run(bench: Bench, side: str) -> None:
    """Print throughput and CPU, for few customers and for new ones only."""
    events = bench.options.events
    for workload in (Workload(1_000, events), Workload(0, events, apart=True)):
        throughput(bench, "Simple job", bench.candidates(side), workload)
