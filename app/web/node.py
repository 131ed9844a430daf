"""What the web layer needs to know of the worker that it runs in."""

from collections.abc import Collection, Mapping
from typing import Protocol

from app.engine.engine import LaneStatus
from app.engine.errors import EngineError
from app.engine.state import PartitionState
from app.settings import Settings
from app.topics import Topics


class OwnPartitions(Protocol):
    """The partitions that this worker owns; the engine is one."""

    def owns(self, partition: int) -> bool:
        """Whether the last assignment gave `partition` to this worker."""

    def rows(self, partition: int) -> PartitionState:
        """Return the committed rows of `partition`; raises `NotReady`."""

    def ready(self) -> bool:
        """Whether every partition of this worker is loaded and running."""

    def status(self) -> list[LaneStatus]:
        """Return what each lane tells of itself."""


class Node(Protocol):
    """A worker; the application is one. `engine` is None until it has joined its group."""

    @property
    def settings(self) -> Settings:
        """The settings it was started with."""

    @property
    def topic_names(self) -> Topics:
        """The topics that it works on."""

    @property
    def engine(self) -> OwnPartitions | None:
        """Its own partitions."""

    @property
    def failure(self) -> EngineError | None:
        """Why it is about to end, or None."""

    @property
    def routes(self) -> Mapping[int, str]:
        """The web address of each partition's owner; empty until it has joined its group."""

    @property
    def workers(self) -> Collection[str]:
        """The web addresses of all workers of the group, also of those that own nothing."""
