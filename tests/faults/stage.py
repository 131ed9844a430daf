"""Where faults are played: a broker with its proxies, real workers, a shop that goes on sending."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from app.sources.samples import sample_events
from tests.acceptance.judge import Judged, judge
from tests.acceptance.judge_source import Unsure
from tests.acceptance.scene import Scene
from tests.acceptance.shop import Shop
from tests.contract.brokers.server import Sent, environment
from tests.faults.brokers import TARGETS
from tests.faults.brokers.target import Target
from tests.faults.crew import Crew
from tests.faults.defects import DEFECTS, defect_environment
from tests.faults.disk import Disk
from tests.faults.leftovers import processes_of
from tests.faults.plan import Plan
from tests.waiting import wait_until
from tests.workers import Worker

MISPLACED = 0.01
INVALID = 0.01
DUPLICATES = 0.01
START_SECONDS = 60
SETTLE_SECONDS = 180
KEPT = {"letters_mb": 8_000, "letters_days": 36_500}
"""So that no letter goes because of others, or because a clock jumps: the judge does not know which would."""
LEAVE_SECONDS = 15


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
        self.extra: list[Sent] = []
        self.unsure: dict[Sent, Unsure] = {}
        self.acknowledged: list[tuple[list[Sent], int]] = []
        self.over = threading.Event()

    # --- what moves use ---

    def wait(self, seconds: float) -> None:
        """Let so much time pass, unless the run is over."""
        self.over.wait(seconds)

    def command(self, name: str) -> Worker:
        """Return what runs other commands of the application as users do: by the proxies, with the defect."""
        return Worker(name, self.folder, environment(self.scene.settings) | self.worker_environment)

    def sent(self, records: list[Sent], acknowledged: int) -> bool:
        """Take note of what a move sent, once each; what is not acknowledged in time may come or not."""
        if acknowledged == len(records):
            self.extra += records
        else:
            self.unsure |= dict.fromkeys(records, Unsure(0, 1))
            self.acknowledged.append((records, acknowledged))
        return acknowledged == len(records)

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
        self.scene = Scene(self.target.server, self.folder, {**KEPT, **plan.settings})
        workers = environment(self.scene.settings) | self.worker_environment
        self.crew = Crew(self.folder, workers, plan.workers, self.scene.workers.all)
        self.crew.start_all()
        self.scene.wait_until_shared(*self.crew.workers, seconds=START_SECONDS)
        events = sample_events(int(plan.seconds * plan.rate), seed=plan.seed, invalid=INVALID, duplicates=DUPLICATES)
        self.shop: Shop = self.scene.shop(events, plan.rate, MISPLACED)
        self.shop.start()
        self.shop.allow(int(plan.seconds * plan.rate))

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
        self.crew.check()
        return self.scene.is_processed_to(self.scene.ends())

    def judge(self) -> Judged:
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
