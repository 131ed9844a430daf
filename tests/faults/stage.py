"""Where faults are played: a broker with its proxies, real workers, a shop that goes on sending."""

import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from app.engine.errors import Unavailable, Unusable
from app.sources.samples import sample_events
from tests.acceptance.judge import Unsure, judge
from tests.acceptance.scene import Scene
from tests.acceptance.shop import Shop
from tests.contract.brokers.server import Sent, environment
from tests.faults.brokers import TARGETS
from tests.faults.brokers.target import Target
from tests.faults.clocks import clock_environment
from tests.faults.defects import DEFECTS, defect_environment
from tests.faults.disk import Disk
from tests.faults.leftovers import processes_of
from tests.faults.plan import Plan
from tests.faults.worker_logs import claims
from tests.oracle import Expected
from tests.waiting import wait_until
from tests.workers import Worker

MISPLACED = 0.01
INVALID = 0.01
DUPLICATES = 0.01
START_SECONDS = 60
SETTLE_SECONDS = 180
LEAVE_SECONDS = 15
IN_VAIN = {Unusable.exit_code, Unavailable.exit_code}
GIVE_UP_SECONDS = 25.0
"""Below the broker time-out: a worker that was at work may not end sooner, one that has just been started may."""


class Stage:
    """As a context manager it starts everything, and leaves no process behind but those of a `target` it was given.

    `extra` takes what moves send besides the shop, each once; `unsure` what their producers make no such promise of,
    and `acknowledged` how many of a group of those are acknowledged.
    """

    def __init__(self, plan: Plan, folder: Path, target: Target | None = None) -> None:
        self.plan = plan
        self.folder = folder
        self.target = target or TARGETS[plan.broker](folder / "broker")
        self._is_own_target = target is None
        wants_disks = any(event.move == "disk-full" for event in plan.events)
        self.disks = [Disk(self.target.folder / f"node-{n}") for n in range(self.target.nodes)] if wants_disks else []
        self._mounted = ExitStack()
        self._started: dict[str, float] = {}
        self._outage_ended = -math.inf
        self.extra: list[Sent] = []
        self.unsure: dict[Sent, Unsure] = {}
        self.acknowledged: list[tuple[list[Sent], int]] = []
        self.restarts: Counter[str] = Counter()
        self.over = threading.Event()
        self._away: set[str] = set()
        self._outages = 0
        self._lock = threading.Lock()

    # --- what moves use ---

    @property
    def workers(self) -> list[Worker]:
        """The workers of the plan, by number; those that moves add are not among them."""
        return self.scene.workers.all[: self.plan.workers]

    def wait(self, seconds: float) -> None:
        """Let so much time pass, unless the run is over."""
        self.over.wait(seconds)

    def claims(self) -> int:
        """Return how often partitions were claimed by now."""
        return claims(self.scene.workers.all)

    def new_worker(self) -> Worker:
        """Make one more, and do not start it."""
        with self._lock:
            name = f"worker-{len(self.scene.workers.all)}"
            settings = (
                environment(self.scene.settings) | self.worker_environment | dict(clock_environment(self.folder, name))
            )
            worker = Worker(name, self.folder, settings)
            self._away.add(name)
            self.scene.workers.all.append(worker)
            return worker

    def command(self, name: str) -> Worker:
        """Return what runs other commands of the application as users do: by the proxies, with the defect."""
        return Worker(name, self.folder, environment(self.scene.settings) | self.worker_environment)

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

    def start(self, worker: Worker) -> Worker:
        """Start a worker that does not run."""
        self._started[worker.name] = time.monotonic()
        return worker.start()

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

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Meanwhile the broker may not answer everybody."""
        self._outages += 1
        try:
            yield
        finally:
            self._outages += 1
            self._outage_ended = time.monotonic()

    # --- its life ---

    def __enter__(self) -> Self:
        """Start the broker, the workers, and the shop."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for disk in self.disks:
                self._mounted.enter_context(disk)
            if self._is_own_target:
                self.target.start()
            self._enter()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _enter(self) -> None:
        plan = self.plan
        self.worker_environment = dict(self.target.worker_environment())
        if plan.defect is not None:
            self.worker_environment |= defect_environment(DEFECTS[plan.defect])
        self.scene = Scene(self.target.server, self.folder, plan.settings)
        for worker in [self.new_worker() for _ in range(plan.workers)]:
            self.start(worker)
        self.scene.wait_until_shared(*self.workers, seconds=START_SECONDS)
        self._away.clear()
        events = sample_events(int(plan.seconds * plan.rate), seed=plan.seed, invalid=INVALID, duplicates=DUPLICATES)
        self.shop: Shop = self.scene.shop(events, plan.rate, MISPLACED)
        self.shop.start()
        self.shop.allow(int(plan.seconds * plan.rate))

    def check(self) -> None:
        """Fail if a worker has ended by itself; start it again if it could not begin because the broker was away."""
        for worker in list(self.scene.workers.all):
            code = worker.exit_code
            if code is None or worker.name in self._away:
                continue
            begun = self._started[worker.name]
            outage = self._outages % 2 or self._outage_ended > begun
            in_vain = outage and time.monotonic() - begun < GIVE_UP_SECONDS and code in IN_VAIN
            assert in_vain, f"{worker.name} ended by itself, with exit code {code}\n{worker.tail()}"
            self.restarts["starts in vain"] += 1
            self.start(worker)

    def settle(self) -> None:
        """Return once all is sent and processed."""
        self.shop.finish(SETTLE_SECONDS)
        wait_until(
            self._is_processed,
            SETTLE_SECONDS,
            "every record to be processed",
            lambda: f"committed {self.scene.committed()}, ends {self.scene.ends()}\n{self.scene.workers.tails()}",
        )

    def _is_processed(self) -> bool:
        self.check()
        return self.scene.is_processed_to(self.scene.ends())

    def dismiss_all(self) -> None:
        """Stop all workers in good order."""
        for worker in self.scene.workers.all:
            if worker.alive:
                self.dismiss(worker)

    def judge(self) -> Expected:
        """Compare everything with the oracle."""
        return judge(self.scene, [*self.shop.sent, *self.extra], self.scene.reader, self.unsure, self.acknowledged)

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self.over.set()
        if hasattr(self, "shop"):
            self.shop.__exit__()
        if hasattr(self, "scene"):
            self.scene.__exit__()
            self.target.let_go(self.scene.settings)
        if self._is_own_target:
            self.target.stop()
        self._mounted.close()

    def left_behind(self) -> Sequence[str]:
        """Return the processes of this run that are still there; to be asked after it has been left."""
        found: list[str] = []

        def none_left() -> bool:
            found[:] = processes_of(self.folder)
            return not found

        try:
            wait_until(none_left, LEAVE_SECONDS, "the end of every process of the run")
        except AssertionError:
            return found
        return ()

    def status(self) -> dict[str, Any]:
        """Return how far it is, for a line of progress."""
        alive = sum(worker.alive for worker in self.scene.workers.all)
        return {"sent": len(self.shop.sent), "acknowledged": self.shop._feed.delivered, "workers": alive}
