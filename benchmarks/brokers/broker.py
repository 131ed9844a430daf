"""What the benchmark asks of a broker: a real server of this run alone, and topics full of events on it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from benchmarks.workload import Workload


class Broker(ABC):
    """A broker while it runs, with its data in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filled: set[Workload] = set()

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for ORDERS_BROKER."""

    @property
    @abstractmethod
    def describe(self) -> str:
        """What it is and which version."""

    def settings(self, prefix: str, app_id: str, partitions: int) -> dict[str, str]:
        """Return the environment of an Orderflow worker on the topics of `prefix`."""
        return {
            "ORDERS_BROKER": self.url,
            "ORDERS_TOPIC_PREFIX": prefix,
            "ORDERS_APP_ID": app_id,
            "ORDERS_PARTITIONS": str(partitions),
            "ORDERS_DATA_DIR": str(self.folder / "data"),
        }

    def provide(self, workload: Workload) -> bool:
        """Make sure that the workload's topic is there and full; returns whether that took something."""
        if workload in self._filled:
            return False
        self.fill(workload)
        self._filled.add(workload)
        return True

    @abstractmethod
    def fill(self, workload: Workload) -> None:
        """Make the topic of a workload and fill it."""

    def forget(self, workload: Workload) -> None:
        """Remove a topic that is not needed any more, with the state of whoever read it."""
        if workload in self._filled:
            self._filled.remove(workload)
            self.drop(workload)

    @abstractmethod
    def drop(self, workload: Workload) -> None:
        """Remove a workload's topic."""

    @abstractmethod
    def forget_run(self, prefix: str, app_id: str, partitions: int) -> None:
        """Remove what one run left, where it would be in the way of the next."""

    def memory(self) -> int | None:
        """Return the bytes that the server holds in memory, where everything is there."""
        return None

    def tune(self, options: Mapping[str, str]) -> None:  # noqa: B027 - most have nothing to choose
        """Set what the next candidate asks of the server."""

    @abstractmethod
    def close(self) -> None:
        """End the server."""
