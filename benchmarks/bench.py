"""One run of the benchmark: brokers that start when needed, full topics, and candidates on them, one by one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self, TypeVar

from benchmarks.brokers import BROKERS, SIDES
from benchmarks.brokers.broker import Broker
from benchmarks.candidates import CANDIDATES, ORDERFLOW
from benchmarks.candidates.candidate import Candidate, Job, Place
from benchmarks.draining import drain
from benchmarks.figures import Drained
from benchmarks.options import Options
from benchmarks.report import Report, progress
from benchmarks.rounds import order_of
from benchmarks.workload import Workload


class Named(Protocol):
    """What takes turns in rounds: candidates, or workloads."""

    @property
    def name(self) -> str:
        """How messages call it."""


T = TypeVar("T")
N = TypeVar("N", bound=Named)


class Bench:
    """What the parts share. A context manager: at its end no broker is left."""

    def __init__(self, options: Options, report: Report, folder: Path) -> None:
        self.options = options
        self.report = report
        self.full_load: dict[str, float] = {}
        self.failures: list[str] = []
        self._folder = folder
        self._brokers: dict[str, Broker] = {}
        self._runs = 0

    def candidates(self, side: str) -> list[Candidate]:
        """Return the candidates of one side that were asked for, for the simple job."""
        return [each for each in CANDIDATES if each.broker in SIDES[side] and self.options.wants(each.key)]

    def orderflow(self, side: str, job: Job) -> list[Candidate]:
        """Return Orderflow on each broker of one side, as far as it was asked for."""
        return [e.doing(job) for e in ORDERFLOW if e.broker in SIDES[side] and self.options.wants(e.key)]

    def broker(self, name: str) -> Broker:
        """Return a running broker."""
        if name not in self._brokers:
            progress(f"starting {name}")
            folder = self._folder / name
            folder.mkdir()
            self._brokers[name] = BROKERS[name](folder)
            self.report.say({name: self._brokers[name].describe})
        return self._brokers[name]

    def place(self, candidate: Candidate, workload: Workload) -> Place:
        """Return a new place for a run of the candidate, with a full topic."""
        broker = self.broker(candidate.broker)
        if not candidate.brings_events and broker.provide(workload):
            progress(f"  filled {workload.prefix}orders on {candidate.broker}: {workload.total:,} events")
        self._runs += 1
        folder = self._folder / f"run{self._runs}"
        folder.mkdir()
        return Place(broker, workload, f"run{self._runs}", folder)

    @contextmanager
    def placed(self, candidate: Candidate, workload: Workload) -> Iterator[Place]:
        """Return a new place for the length of a `with` block; what the run leaves there is removed."""
        place = self.place(candidate, workload)
        yield place
        candidate.lose_local_state(place)
        place.broker.forget_run(workload.prefix, place.app_id, workload.partitions)

    def events_of(self, candidate: Candidate, workload: Workload) -> int:
        """Return how many events of a workload the candidate is to do."""
        return min(workload.total, candidate.limit or workload.total)

    def run(self, candidate: Candidate, workload: Workload, begin: int = 0) -> Drained:
        """Let a worker do a workload from nothing; figures are taken from event `begin` on."""
        with self.placed(candidate, workload) as place:
            events = self.events_of(candidate, workload)
            with candidate.start(place) as worker:
                drained = drain(worker, events, begin)
            wrong = candidate.mistakes(place)
            if wrong is not None:
                raise RuntimeError(f"{candidate.name}: {wrong}")
            progress(f"  {candidate.name}, {workload.name}: {drained.rate:,.0f} events/s, {drained.cpu:.1f} µs")
            return drained

    def rounds(self, each: Sequence[N], once: Callable[[N], T]) -> dict[N, list[T]]:
        """Do something with each, in each round; returns what came out.

        One that fails is left out from then on, and named at the end: the others go on.
        """
        results: dict[N, list[T]] = {one: [] for one in each}
        failed: set[N] = set()
        for number in range(self.options.rounds):
            progress(f" round {number + 1} of {self.options.rounds}")
            for one in order_of(each, number):
                if one in failed:
                    continue
                try:
                    results[one].append(once(one))
                except (RuntimeError, ValueError, OSError) as error:
                    failed.add(one)
                    self.failures.append(f"{one.name}: {error}")
                    progress(f"  FAILED: {self.failures[-1]}")
        return {one: outcome for one, outcome in results.items() if outcome}

    def close(self) -> None:
        """End all brokers."""
        while self._brokers:
            self._brokers.popitem()[1].close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all brokers."""
        self.close()
