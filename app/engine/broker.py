"""What the engine asks of a broker. Each transport gives one implementation."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from app.engine.step import EncodedRows, Output, Record


class Batch(NamedTuple):
    """Records of one partition in offset order. Offsets may have gaps; `next_offset` is where to read on.

    `end_offset` is the end of the partition as last seen, so `end_offset - next_offset` is the lag in records.
    """

    records: Sequence[Record]
    first_offset: int
    next_offset: int
    end_offset: int


class LoadedRows(NamedTuple):
    """Part of a partition's state as read back. `done` and `total` measure progress, in units of the broker's own."""

    rows: Sequence[tuple[str, str, bytes | None]]
    done: int
    total: int


class Lease(Protocol):
    """The right to a partition, until somebody else claims it. All calls raise `Fenced` from then on.

    Every call may raise `Unavailable` when the broker does not answer in time, `Refused` when it denies the right; and
    `commit` raises `Unknown` when it cannot be known whether the step was committed.
    """

    @property
    def partition(self) -> int:
        """The partition this is for."""

    def load(self) -> AsyncIterator[LoadedRows]:
        """Read the state as it stood when the partition was claimed, the committed offset among it."""

    @property
    def next_offset(self) -> int:
        """The offset from which to read on; known once `load` has ended."""

    @property
    def backlog(self) -> tuple[int, int] | None:
        """How many records wait for the slowest of all groups, and how many may; None if the broker has no bound."""

    async def read(self, max_records: int) -> Batch:
        """Return the records that follow the last ones read; none when none came within a moment."""

    def write(self, outputs: Sequence[Output]) -> None:
        """Take outputs of the step under way, to be written with its commit; nothing is sent before."""

    async def commit(self, next_offset: int, rows: EncodedRows, outputs: Sequence[Output]) -> None:
        """Write rows, outputs (those taken by `write`, then these) and the new offset: all or nothing."""

    async def release(self) -> None:
        """Give up the partition and everything held for it. Never raises."""


class Broker(Protocol):
    """Where a transport's partitions are claimed."""

    async def claim(self, partition: int) -> Lease:
        """Take the partition over, fencing out whoever held it. Anything read before this may be out of date."""

    async def confirm(self, partition: int) -> bool:
        """Ask the group's coordinator, now, whether this worker still owns the partition."""
