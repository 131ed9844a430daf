"""How fast a state is read back by a worker that has none of it on its own disk."""

from benchmarks.bench import Bench
from benchmarks.candidates.candidate import Candidate, Place, Restored
from benchmarks.draining import drain, wait_until
from benchmarks.figures import spread
from benchmarks.report import Table, progress
from benchmarks.workload import Workload

COLUMNS = {"rows": 0, "seconds": 2, "rows/s": 0, "start to ready s": 1}


def run(bench: Bench, side: str) -> None:
    """Print rows per second, and the time from the start of the process until all its partitions are ready."""
    workload = Workload(0, bench.options.events)
    candidates = [each for each in bench.candidates(side) if each.exactly_once] + bench.orderflow(side, "pipeline")
    places: dict[Candidate, Place] = {}

    def once(candidate: Candidate) -> tuple[Restored, float]:
        if candidate not in places:
            places[candidate] = bench.place(candidate, workload)
            with candidate.start(places[candidate]) as worker:
                drain(worker, workload.total)
        return _restart(candidate, places[candidate])

    results = bench.rounds(candidates, once)
    table = Table("Recovery, every customer new", COLUMNS)
    for candidate, runs in results.items():
        table.add(
            f"{candidate.name}, {candidate.job} job",
            spread([restored.rows for restored, _ in runs]).median,
            spread([restored.seconds for restored, _ in runs]),
            spread([restored.rows / max(restored.seconds, 0.01) for restored, _ in runs]),
            spread([ready for _, ready in runs]),
        )
    table.notes = [
        "rows: records read back, several of a row where the log was not compacted yet",
        "Kafka Streams would keep its stores on disk on the same machine and then read little; here they are deleted",
    ]
    bench.report.add(table)
    for place in places.values():
        place.broker.forget_run(workload.prefix, place.app_id, workload.partitions)


def _restart(candidate: Candidate, place: Place) -> tuple[Restored, float]:
    candidate.lose_local_state(place)
    with candidate.start(place) as worker:
        assert worker.ready is not None
        assert worker.restored is not None
        ready = wait_until(worker, worker.ready, "state")
        restored = worker.restored()
    progress(f"  {candidate.name}, {candidate.job} job: {restored.rows:,} rows in {restored.seconds:.2f} s")
    return restored, ready
