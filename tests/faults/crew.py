"""The workers of a run: who they are, who may be away now, and who ended without being told to."""

import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.engine.errors import Unavailable, Unusable
from tests.faults.clocks import clock_environment
from tests.faults.worker_logs import claims
from tests.waiting import wait_until
from tests.workers import Worker

LEAVE_SECONDS = 15
IN_VAIN = {Unusable.exit_code, Unavailable.exit_code}
GIVE_UP_SECONDS = 25.0
"""Below the broker time-out: a worker that was at work may not end sooner, one that has just been started may."""

BREATH_SECONDS = 5.0
"""With less than this between them, two outages are one for workers: they may not have come through."""


class Crew:
    """`count` workers with this environment, and those that moves add. They are put into the list `every`."""

    def __init__(self, folder: Path, environment: Mapping[str, str], count: int, every: list[Worker]) -> None:
        self.restarts: Counter[str] = Counter()
        self._folder = folder
        self._environment = environment
        self._count = count
        self._all = every
        self._away: set[str] = set()
        self._started: dict[str, float] = {}
        self._outages = 0
        self._outage_began = math.inf
        self._outage_ended = -math.inf
        self._lock = threading.Lock()

    @property
    def workers(self) -> list[Worker]:
        """The workers of the plan, by number; those that moves add are not among them."""
        return self._all[: self._count]

    def claims(self) -> int:
        """Return how often partitions were claimed by now."""
        return claims(self._all)

    def start_all(self) -> None:
        """Start the workers of the plan."""
        for _ in range(self._count):
            self.add()
        self._away.clear()

    def add(self) -> Worker:
        """Start one more, which may end at any time."""
        with self._lock:
            name = f"worker-{len(self._all)}"
            clock = clock_environment(self._folder, name)
            worker = Worker(name, self._folder, {**self._environment, **clock})
            self._away.add(name)
            self._all.append(worker)
        return self.start(worker)

    def start(self, worker: Worker) -> Worker:
        """Start a worker that does not run."""
        self._started[worker.name] = time.monotonic()
        return worker.start()

    @contextmanager
    def away(self, *workers: Worker) -> Iterator[None]:
        """Meanwhile these workers may have ended; afterwards they run (again)."""
        self._away.update(worker.name for worker in workers)
        yield
        for worker in workers:
            if not worker.alive:
                self.restarts["workers"] += 1
                self.start(worker)
        self._away.difference_update(worker.name for worker in workers)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Meanwhile the broker may not answer every worker."""
        if time.monotonic() - self._outage_ended > BREATH_SECONDS:
            self._outage_began = time.monotonic()
        self._outages += 1
        try:
            yield
        finally:
            self._outages += 1
            self._outage_ended = time.monotonic()

    def dismiss(self, worker: Worker) -> None:
        """Stop a worker (SIGTERM). While the broker is away it may end with another exit code than 0."""
        self._away.add(worker.name)
        outages = self._outages
        worker._signal(signal.SIGTERM)
        wait_until(lambda: not worker.alive, LEAVE_SECONDS, f"the end of {worker.name} after SIGTERM", worker.tail)
        undisturbed = outages == self._outages and outages % 2 == 0
        # One that has just been started does not know yet what to do with the signal.
        assert worker.exit_code in {0, -signal.SIGTERM} or not undisturbed, (
            f"{worker.name} exited with {worker.exit_code} after SIGTERM\n{worker.tail()}"
        )

    def dismiss_all(self) -> None:
        """Stop all in good order."""
        for worker in self._all:
            if worker.alive:
                self.dismiss(worker)

    def check(self) -> None:
        """Fail if a worker has ended by itself; start it again if the broker was away for too long, or as it began."""
        for worker in list(self._all):
            code = worker.exit_code
            if code is None or worker.name in self._away:
                continue
            assert code in IN_VAIN, f"{worker.name} ended by itself, with exit code {code}\n{worker.tail()}"
            assert self._is_excused(worker), f"{worker.name} gave up, with exit code {code}\n{worker.tail()}"
            self.restarts["workers that gave up"] += 1
            self.start(worker)

    def _is_excused(self, worker: Worker) -> bool:
        """Whether an outage met its start, or lasted so long that it had to give up."""
        now, begun = time.monotonic(), self._started[worker.name]
        goes_on = bool(self._outages % 2)
        ended = now if goes_on else self._outage_ended
        if ended < begun or now - ended > GIVE_UP_SECONDS:
            return False
        return now - begun < GIVE_UP_SECONDS or now - self._outage_began > GIVE_UP_SECONDS
