"""How long a worker takes from its start to its first commit, and what it costs while nothing happens."""

import time

from benchmarks.bench import Bench
from benchmarks.candidates.candidate import Candidate
from benchmarks.draining import wait_until
from benchmarks.figures import spread
from benchmarks.report import Table, progress
from benchmarks.workload import Workload

EVENTS = 1_000
SETTLE_SECONDS = 5.0
IDLE_SECONDS = {False: 20.0, True: 2.0}
"""By whether the run is a quick one."""
COLUMNS = {"start to first commit s": 2, "idle CPU %": 2, "idle MB": 0}


def run(bench: Bench, side: str) -> None:
    """Print start-up time, idle CPU and memory."""
    workload = Workload(1_000, EVENTS)
    idle_seconds = IDLE_SECONDS[bench.options.quick]

    def once(candidate: Candidate) -> tuple[float, float, float]:
        with bench.placed(candidate, workload) as place, candidate.start(place) as worker:
            first = wait_until(worker, lambda: bool(worker.done()), "first commit")
            events = bench.events_of(candidate, workload)
            wait_until(worker, lambda: (worker.done() or 0) >= events, "end of the topic", 0.1)
            time.sleep(SETTLE_SECONDS)
            cpu, begin = worker.session.cpu_seconds(), time.monotonic()
            time.sleep(idle_seconds)
            busy = (worker.session.cpu_seconds() - cpu) / (time.monotonic() - begin)
            worker.session.check_alive()
            progress(f"  {candidate.name}: first commit after {first:.1f} s, idle {busy:.1%}")
            return first, busy * 100, worker.session.resident_bytes() / 1e6

    results = bench.rounds(bench.candidates(side), once)
    table = Table("Start and rest", COLUMNS)
    for candidate, runs in results.items():
        table.add(candidate.name, *(spread(column) for column in zip(*runs, strict=True)))
    table.notes = [
        f"{EVENTS:,} events wait when it starts; at least once, the first commit waits for the commit interval",
        f"idle: {idle_seconds:.0f} s without events, of one core; MB: of all its processes (PSS), the broker's not",
    ]
    bench.report.add(table)
