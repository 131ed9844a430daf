"""A broker in memory for tests of the engine alone: it keeps what `app.engine.broker` promises, or fails as told."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from app.engine.broker import Batch, LoadedRows
from app.engine.clock import Clock
from app.engine.errors import EngineError, Fenced
from app.engine.step import EncodedRows, Headers, Output


@dataclass(slots=True)
class MemoryRecord:
    """See `app.engine.step.Record`."""

    offset: int
    key: bytes | None = None
    value: bytes | None = None
    timestamp: int = 0
    timestamp_type: int = 0
    headers: Headers = ()


class QuickClock(Clock):
    """Real time, but no pause that is a matter of chance."""

    def uniform(self, low: float, high: float) -> float:
        """Return 0."""
        return 0.0


class MemoryBroker:
    """Topics, state and who holds what, of any number of partitions.

    `calls` tells what was asked, in order. `on_call` is called with each before it happens: whatever it raises is what
    the call ends in. `after_commit` is called when a commit has happened: what it raises hides that from the caller.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.on_call: Callable[[str], None] = lambda _: None
        self.after_commit: Callable[[], None] = lambda: None
        self.may_hold: Callable[[int], bool] = lambda _: True
        self.batch_size = 100
        self.idle_seconds = 0.5  # a read waits so long for records
        self.source: dict[int, list[MemoryRecord]] = defaultdict(list)
        self.rows: dict[int, dict[tuple[str, str], bytes]] = defaultdict(dict)
        self.offsets: dict[int, int] = defaultdict(int)
        self.outputs: list[Output] = []
        self.epochs: dict[int, int] = defaultdict(int)
        self.leases: list[MemoryLease] = []
        self.arrived = asyncio.Event()
        self.hold_commit: asyncio.Event | None = None

    def add(self, *values: bytes, partition: int = 0, key: bytes = b"k") -> None:
        """Let records arrive; every third offset is a gap."""
        for value in values:
            last = self.source[partition][-1].offset if self.source[partition] else -1
            offset = last + 1 if (last + 1) % 3 else last + 2
            self.source[partition].append(MemoryRecord(offset, key, value))
        self.arrived.set()

    def end(self, partition: int = 0) -> int:
        """Return the end of the source."""
        return self.source[partition][-1].offset + 1 if self.source[partition] else 0

    def fence(self, partition: int = 0) -> None:
        """Claim the partition for somebody else."""
        self.epochs[partition] += 1

    def called(self, call: str) -> None:
        """Note a call, and fail it if so told."""
        self.calls.append(call)
        self.on_call(call)

    async def claim(self, partition: int) -> "MemoryLease":
        """See `app.engine.broker.Broker`."""
        self.called("claim")
        self.epochs[partition] += 1
        lease = MemoryLease(self, partition, self.epochs[partition])
        self.leases.append(lease)
        return lease

    async def confirm(self, partition: int) -> bool:
        """See `app.engine.broker.Broker`."""
        self.called("confirm")
        return self.may_hold(partition)


class MemoryLease:
    """See `app.engine.broker.Lease`."""

    def __init__(self, broker: MemoryBroker, partition: int, epoch: int) -> None:
        self.partition = partition
        self.next_offset = 0
        self.backlog: tuple[int, int] | None = None
        self.released = False
        self._broker = broker
        self._epoch = epoch
        self._taken: list[Output] = []

    async def load(self) -> AsyncIterator[LoadedRows]:
        """Yield the state in two parts."""
        self._broker.called("load")
        rows = [(table, key, value) for (table, key), value in self._broker.rows[self.partition].items()]
        half = len(rows) // 2
        for part, done in ((rows[:half], half), (rows[half:], len(rows))):
            await asyncio.sleep(0)
            yield LoadedRows(part, done, len(rows))
        self.next_offset = self._position = self._broker.offsets[self.partition]

    async def read(self, max_records: int) -> Batch:
        """Return what follows, or nothing when nothing came for a moment."""
        self._broker.called("read")
        source = self._broker.source[self.partition]
        first = self._position
        records = [record for record in source if record.offset >= first][: min(max_records, self._broker.batch_size)]
        if not records:
            self._broker.arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._broker.arrived.wait(), self._broker.idle_seconds)
            return Batch([], first, first, self._broker.end(self.partition))
        self._position = records[-1].offset + 1
        return Batch(records, first, self._position, self._broker.end(self.partition))

    def write(self, outputs: Sequence[Output]) -> None:
        """Take outputs."""
        self._taken += outputs

    async def commit(self, next_offset: int, rows: EncodedRows, outputs: Sequence[Output]) -> None:
        """Do all or nothing, if nobody else has claimed the partition."""
        self._broker.called("commit")
        await asyncio.sleep(0)
        if self._broker.hold_commit is not None:
            await self._broker.hold_commit.wait()
        if self._broker.epochs[self.partition] != self._epoch:
            raise Fenced(f"partition {self.partition} was claimed by somebody else")
        for table, changed in rows:
            for key, value in changed:
                if value is None:
                    self._broker.rows[self.partition].pop((table, key), None)
                else:
                    self._broker.rows[self.partition][table, key] = value
        self._broker.offsets[self.partition] = next_offset
        self._broker.outputs += [*self._taken, *outputs]
        self._taken = []
        self._broker.after_commit()

    async def release(self) -> None:
        """Note it."""
        self._broker.calls.append("release")
        self.released = True


def failing(at: str, error: EngineError | Exception, times: int = 1) -> Callable[[str], None]:
    """Return an `on_call` that fails the first calls of a name."""
    left = times

    def on_call(call: str) -> None:
        nonlocal left
        if call == at and left > 0:
            left -= 1
            raise error

    return on_call
