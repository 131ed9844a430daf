"""The simple job: validate every event fully, keep one total per customer. Every candidate does it."""

from benchmarks.bench import Bench
from benchmarks.parts.throughput import throughput
from benchmarks.workload import Workload

CUSTOMERS = (1_000, 0)


def run(bench: Bench, side: str) -> None:
    """Print throughput and CPU, for few customers and for new ones only."""
    for customers in CUSTOMERS:
        workload = Workload(customers, bench.options.events)
        throughput(bench, "Simple job", bench.candidates(side), workload)
