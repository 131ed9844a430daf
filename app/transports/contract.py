"""What the application asks of a transport, whatever the broker. `transport_for` gives the class for an address."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from app.engine.broker import Broker
from app.settings import Settings

OnAssigned = Callable[[set[int], int], Awaitable[None]]
"""Is told all partitions that this worker owns from now on, and a number that rises with every assignment."""

OnRevoked = Callable[[set[int]], Awaitable[None]]
"""Is told which partitions are being shared anew. Lanes go on: whoever claims next fences them."""

StateRows = Sequence[tuple[str, str, bytes | None]]
"""(table, key, encoded row) each, None for a row that was deleted."""


class Membership(Protocol):
    """This worker's place in the group of workers. Calls raise the engine's errors."""

    @property
    def routes(self) -> Mapping[int, str]:
        """Which worker owns which partition, as web addresses."""

    @property
    def workers(self) -> Collection[str]:
        """The web addresses of all workers of the group, also of those that own nothing."""

    async def start(self) -> None:
        """Join the group; partitions come later, by `OnAssigned`."""

    async def stop(self) -> None:
        """Leave the group. Never raises."""

    async def watch(self) -> None:
        """Take part until the worker stops; raises when the group is broken for good."""

    async def confirm(self, partition: int) -> bool:
        """Ask the group, now, whether this worker owns `partition`."""


class Sender(Protocol):
    """Sends records from outside of steps, in the background."""

    @property
    def acknowledged(self) -> int:
        """How many records the broker has safely."""

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int | None = None,
    ) -> None:
        """Take a record to be sent, waiting while too many are under way. Raises the engine's errors.

        Without a `partition` it goes to the one that its key belongs to; without a key too, to each in turn.
        """

    async def flush(self) -> None:
        """Wait until all that was taken is acknowledged. Raises the engine's errors."""


class Snapshot(Protocol):
    """The committed state of an application, read without claiming anything."""

    @property
    def partitions(self) -> int:
        """How many partitions there are."""

    def read(self, partition: int) -> AsyncIterator[StateRows]:
        """Yield all committed rows of a partition; the last one of a key counts, None deletes it."""


class Transport(Protocol):
    """The class of a transport. Besides, it is a Faust transport: Faust makes one instance of it."""

    @staticmethod
    async def prepare(settings: Settings) -> None:
        """Wait for the broker, then make the topics or check them. Raises the engine's errors."""

    @staticmethod
    async def is_unused(settings: Settings) -> bool:
        """Return whether no order was ever sent to this application's topic. Raises the engine's errors."""

    @staticmethod
    def open_sender(settings: Settings) -> AbstractAsyncContextManager[Sender]:
        """Return what sends records; entering it connects and makes missing topics."""

    @staticmethod
    def open_state(settings: Settings) -> AbstractAsyncContextManager[Snapshot]:
        """Return what reads the committed state."""

    @staticmethod
    def open_membership(settings: Settings, web_url: str, on_assigned: OnAssigned, on_revoked: OnRevoked) -> Membership:
        """Return a place in the group, not taken yet; `web_url` is where other workers reach this one."""

    @staticmethod
    def open_broker(settings: Settings, membership: Membership) -> Broker:
        """Return where the members of a group claim their partitions."""
