"""From produce to readable: the simple job under a share of its own full load, asked over HTTP for new customers."""

import statistics
from typing import NamedTuple

from benchmarks.bench import Bench
from benchmarks.candidates.candidate import Candidate
from benchmarks.draining import wait_until
from benchmarks.figures import spread
from benchmarks.probing import probe
from benchmarks.report import Table, progress
from benchmarks.workload import Workload

TOPIC = Workload(1_000, 1_000)
"""What is there before anything is sent."""
SHARES = (0.1, 0.5, 0.8)
SAME_RATE = 10_000
"""Events per second at which all are compared as well."""
WARM_UP_SECONDS = {False: 15.0, True: 3.0}
SECONDS = {False: 12.0, True: 4.0}
"""By whether the run is a quick one."""
COLUMNS = {"asked for, events/s": 0, "sent, events/s": 0, "probes": 0, "p50 ms": 1, "p99 ms": 1, "max ms": 1}


class Waits(NamedTuple):
    """What one round gave at one load."""

    asked: int
    sent: float
    probes: int
    p50: float
    p99: float
    longest: float


def run(bench: Bench, side: str) -> None:
    """Print how long it takes from handing an event to the client until its customer's row is answered."""
    quick = bench.options.quick
    candidates = [each for each in bench.candidates(side) if each.exactly_once]

    def once(candidate: Candidate) -> dict[str, Waits]:
        full = _full_load(bench, candidate)
        loads = {f"{share:.0%} of its full load": int(share * full) for share in SHARES}
        loads["the same for all"] = SAME_RATE
        bench.broker(candidate.broker).forget(TOPIC)  # what was sent in other runs would keep it behind
        with bench.placed(candidate, TOPIC) as place, candidate.start(place) as worker:
            assert worker.ready is not None
            wait_until(worker, worker.ready, "partitions")
            probe(place, worker, loads["50% of its full load"], WARM_UP_SECONDS[quick])
            found = {}
            for name, rate in loads.items():
                probed = probe(place, worker, rate, SECONDS[quick])
                worker.session.check_alive()
                found[name] = _summary(rate, probed.rate, probed.waits)
                if probed.committed:
                    found[f"{name}, until committed"] = _summary(rate, probed.rate, probed.committed)
                progress(f"  {candidate.name}, {rate:,}/s: p50 {found[name].p50:.1f} ms, p99 {found[name].p99:.1f} ms")
            return found

    results = bench.rounds(candidates, once)
    table = Table("From produce to readable over HTTP, simple job", COLUMNS)
    for candidate, runs in results.items():
        for name in runs[0]:
            columns = zip(*(found[name] for found in runs), strict=True)
            table.add(f"{candidate.name}, {name}", *(spread(column) for column in columns))
    table.notes = [
        "sender, broker and prober share the cores with the candidate; its full load was taken without a sender",
        "where less was sent than asked for, or p50 is seconds, the machine did not keep up",
        "Orderflow answers what is committed; Kafka Streams also what it has not committed yet, and may still undo",
        "until committed: readable in its changelog for who reads only what is committed",
    ]
    bench.report.add(table)


def _summary(asked: int, sent: float, waits: list[float]) -> Waits:
    p99 = statistics.quantiles(waits, n=100, method="inclusive")[98]
    return Waits(asked, sent, len(waits), statistics.median(waits), p99, max(waits))


def _full_load(bench: Bench, candidate: Candidate) -> float:
    if candidate.key not in bench.full_load:
        bench.full_load[candidate.key] = bench.run(candidate, Workload(1_000, bench.options.events)).rate
    return bench.full_load[candidate.key]
