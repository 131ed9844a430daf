"""The table of throughput and CPU that the simple job and the full pipeline share."""

from collections.abc import Mapping, Sequence

from benchmarks.bench import Bench
from benchmarks.candidates.candidate import Candidate
from benchmarks.candidates.orderflow import Orderflow
from benchmarks.figures import Drained, spread
from benchmarks.report import Cell, Table
from benchmarks.workload import Workload

COLUMNS = {
    "events": 0,
    "events/s": 0,
    "first 8 s": 0,
    "later": 0,
    "CPU µs/event": 1,
    "cores": 2,
    "whole run s": 1,
    "events/s ÷ Orderflow": 2,
    "CPU ÷ Orderflow": 2,
}
NOTES = (
    "events/s and CPU: from the first commit to the last one before the end; CPU of all processes, the broker's not",
    "first 8 s, later: events/s before and after a JVM has compiled what it runs often",
    "whole run: from the start of the process to the last event's commit",
)


def throughput(bench: Bench, title: str, candidates: Sequence[Candidate], workload: Workload) -> Table | None:
    """Run candidates through a workload and report it; returns the table."""
    if not candidates:
        return None
    results = bench.rounds(candidates, lambda candidate: bench.run(candidate, workload))
    table = Table(f"{title}, {workload.name}, {workload.partitions} partitions, one worker", COLUMNS, NOTES)
    reference = next((results[each] for each in results if each.reference), None)
    for candidate, runs in results.items():
        if candidate.job == "simple":
            bench.full_load.setdefault(candidate.key, spread([run.rate for run in runs]).median)
        table.add(candidate.name, *_cells(runs, reference))
    table.notes += [candidate.note for candidate in results if candidate.note]
    table.notes += _verdict(results)
    bench.report.add(table)
    return table


def _cells(runs: Sequence[Drained], reference: Sequence[Drained] | None) -> tuple[Cell, ...]:
    rate, cpu = spread([run.rate for run in runs]), spread([run.cpu for run in runs])
    later = [run.later for run in runs if run.later is not None]
    if reference is None:
        ratios: tuple[float | None, float | None] = (None, None)
    else:
        ratios = (
            rate.median / spread([run.rate for run in reference]).median,
            cpu.median / spread([run.cpu for run in reference]).median,
        )
    return (
        spread([run.events for run in runs]).median,
        rate,
        spread([run.first for run in runs]).median,
        spread(later).median if later else None,
        cpu,
        spread([run.cores for run in runs]).median,
        spread([run.whole for run in runs]).median,
        *ratios,
    )


def _verdict(results: Mapping[Candidate, Sequence[Drained]]) -> list[str]:
    """Say where Orderflow loses."""
    ours = next((runs for candidate, runs in results.items() if candidate.reference), None)
    if ours is None:
        return []
    rate, cpu = spread([run.rate for run in ours]).median, spread([run.cpu for run in ours]).median
    later = [run.later for run in ours if run.later is not None]
    lines = []
    for candidate, runs in results.items():
        if isinstance(candidate, Orderflow):
            continue
        warm = [run.later for run in runs if run.later is not None]
        if spread([run.rate for run in runs]).median > rate:
            lines.append(f"faster than Orderflow: {candidate.name}")
        elif warm and later and spread(warm).median > spread(later).median:
            lines.append(f"faster than Orderflow after its first 8 s: {candidate.name}")
        if spread([run.cpu for run in runs]).median < cpu:
            lines.append(f"less CPU per event than Orderflow: {candidate.name}")
    return lines
