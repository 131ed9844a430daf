"""The parts of a run, one file each: what is measured, and its table."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from benchmarks.bench import Bench
from benchmarks.parts import floods, latency, memory, pipeline, recovery, scaling, simple, start

PARTS: Mapping[str, Callable[[Bench, str], None]] = MappingProxyType(
    {
        "simple": simple.run,
        "pipeline": pipeline.run,
        "floods": floods.run,
        "recovery": recovery.run,
        "latency": latency.run,
        "start": start.run,
        "memory": memory.run,
        "scaling": scaling.run,
    }
)
"""By the name that --only takes; each is run for one side (see benchmarks/brokers)."""
