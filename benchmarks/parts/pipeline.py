"""The full pipeline: what Orderflow is for. No peer does it."""

from benchmarks.bench import Bench
from benchmarks.parts.throughput import throughput
from benchmarks.workload import Workload

CUSTOMERS = (1_000, 0)


def run(bench: Bench, side: str) -> None:
    """Print throughput and CPU, for few customers and for new ones only."""
    for customers in CUSTOMERS:
        workload = Workload(customers, max(1_000, bench.options.events // 2))
        throughput(bench, "Full pipeline", bench.orderflow(side, "pipeline"), workload)
        for candidate in bench.orderflow(side, "pipeline"):
            bench.broker(candidate.broker).forget(workload)
