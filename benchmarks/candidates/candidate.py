"""What the benchmark asks of a candidate, whichever tool it is made with."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks.brokers.broker import Broker
from benchmarks.changelog import Changelog
from benchmarks.processes import Session
from benchmarks.workload import Workload

Job = Literal["simple", "pipeline"]


@dataclass(frozen=True)
class Place:
    """Where one run of a candidate takes place: a filled topic, a name of its own there, and a new folder."""

    broker: Broker
    workload: Workload
    app_id: str
    folder: Path

    @property
    def topic(self) -> str:
        """The topic that the events are on."""
        return f"{self.workload.prefix}orders"

    @property
    def log(self) -> Path:
        """What its processes print."""
        return self.folder / "worker.log"

    @property
    def state(self) -> Path:
        """Where a worker may keep stores of its own."""
        return self.folder / "state"

    def settings(self) -> dict[str, str]:
        """The same as the environment of a worker."""
        return self.broker.settings(self.workload.prefix, self.app_id, self.workload.partitions)


class Restored(NamedTuple):
    """What a worker read back when it started: rows, and the seconds that took."""

    rows: int
    seconds: float


@dataclass(frozen=True)
class Worker:
    """A candidate while it runs.

    `done` returns how many events are committed, as the broker tells where it can; None while that is not known.
    `ready` says whether it has its partitions and their state. `customer_url` is the address of a customer's row
    ("…/{}"), None where rows cannot be asked for; `rows` how many rows there are; `changelog` where rows can be read
    once they are committed, of a candidate that answers earlier.
    """

    session: Session
    done: Callable[[], int | None]
    ready: Callable[[], bool] | None = None
    customer_url: str | None = None
    restored: Callable[[], Restored] | None = None
    rows: Callable[[], int] | None = None
    changelog: Changelog | None = None


class Candidate(ABC):
    """One line of the tables.

    `key` names it on the command line, `broker` what it runs on, `limit` how many events are enough for it (None: as
    many as there are). `reference` marks the one that the others of its side are compared with; `brings_events` one
    that fills a queue of its own instead of reading the topic.
    """

    job: Job = "simple"
    key: str
    name: str
    broker: str
    limit: int | None = None
    reference: bool = False
    note: str = ""
    brings_events: bool = False
    exactly_once: bool = False

    @abstractmethod
    def version(self) -> str:
        """Say which version of what it is."""

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Build or install what it needs, once per machine."""

    @abstractmethod
    def start(self, place: Place) -> AbstractContextManager[Worker]:
        """Run one worker for the length of a `with` block; on the same place again, it goes on where it was."""

    def lose_local_state(self, place: Place) -> None:
        """Delete what a stopped worker keeps on its own disk, as if it came back on another machine."""
        shutil.rmtree(place.state, ignore_errors=True)

    def mistakes(self, place: Place) -> str | None:
        """Say what is wrong with the state that a run left, None if nothing is or if it cannot be told here."""
        return None
