"""The topics, state and group of one test: what it does with the transport, and what it sees past it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from app.engine.broker import Batch, Broker, Lease
from app.engine.step import EncodedRows, Record
from app.transports import transport_for
from app.transports.contract import Transport
from tests.contract.brokers.server import Read, Server, State, names, read_log

Rows = dict[tuple[str, str], bytes]
KeyValue = tuple[bytes | None, bytes | None]


class Space:
    """A namespace of a broker's own. `more` are settings beyond the usual ones."""

    def __init__(self, server: Server, **more: Any) -> None:
        self.server = server
        self.settings = server.settings(**more)
        self.topics = names(self.settings)
        self.transport: type[Transport] = transport_for(self.settings.broker)

    async def prepare(self) -> None:
        """Make the topics."""
        await self.transport.prepare(self.settings)

    def broker(self) -> Broker:
        """Return where partitions are claimed, as a worker has it that never joined the group."""
        membership = self.transport.open_membership(self.settings, "http://contract", _nothing, _nothing)
        return self.transport.open_broker(self.settings, membership)

    async def claim(self, partition: int = 0) -> Lease:
        """Claim a partition, as a worker of its own would."""
        return await self.broker().claim(partition)

    @asynccontextmanager
    async def holding(self, partition: int = 0) -> AsyncIterator[Lease]:
        """Claim a partition, load its state, and release it at the end."""
        lease = await self.claim(partition)
        try:
            await loaded(lease)
            yield lease
        finally:
            await lease.release()

    async def send(self, *records: KeyValue, topic: str | None = None) -> None:
        """Send records to the orders topic, or another, and return once they are acknowledged."""
        async with self.transport.open_sender(self.settings) as sender:
            for key, value in records:
                await sender.send(topic or self.topics.orders, key, value)
            await sender.flush()
            assert sender.acknowledged == len(records)

    async def snapshot(self, partition: int = 0) -> Rows:
        """Return the committed rows, as commands read them that claim nothing."""
        rows: Rows = {}
        async with self.transport.open_state(self.settings) as state:
            async for chunk in state.read(partition):
                _apply(rows, chunk)
        return rows

    async def records(self, topic: str, partition: int = 0) -> list[Read]:
        """Return all committed records of a partition, read past our own code."""
        found = await asyncio.to_thread(read_log, self.server, self.settings, topic)
        return [record for record in found if record.partition == partition]

    async def values(self, topic: str, partition: int = 0) -> list[bytes | None]:
        """Return their values."""
        return [record.value for record in await self.records(topic, partition)]

    async def state(self, partition: int = 0) -> State:
        """Return what is committed, read past our own code."""
        return await asyncio.to_thread(self.server.state, self.settings, partition)


async def _nothing(*_: Any) -> None:
    pass


def table(name: str = "t", /, **rows: bytes) -> EncodedRows:
    """Return changed rows of one table."""
    return [(name, list(rows.items()))]


def numbered(count: int, first: int = 0) -> list[KeyValue]:
    """Return records with numbered values under few keys."""
    return [(b"k%d" % (number % 7), b"v%d" % number) for number in range(first, first + count)]


async def loaded(lease: Lease) -> Rows:
    """Load a lease's state and return its rows."""
    rows: Rows = {}
    async for chunk in lease.load():
        _apply(rows, chunk.rows)
    return rows


def _apply(rows: Rows, changes: Iterable[tuple[str, str, bytes | None]]) -> None:
    for name, key, value in changes:
        if value is None:
            rows.pop((name, key), None)
        else:
            rows[name, key] = bytes(value)


async def read_batches(lease: Lease, count: int, max_records: int = 4_000, seconds: float = 20) -> list[Batch]:
    """Read until so many records are there (never more than that many are expected)."""
    batches: list[Batch] = []
    async with asyncio.timeout(seconds):
        while sum(len(batch.records) for batch in batches) < count:
            batches.append(await lease.read(max_records))
    return batches


async def read_records(lease: Lease, count: int, max_records: int = 4_000, seconds: float = 20) -> list[Record]:
    """Read exactly so many records."""
    batches = await read_batches(lease, count, max_records, seconds)
    records = [record for batch in batches for record in batch.records]
    assert len(records) == count, f"{len(records)} records instead of {count}"
    return records


def key_values(records: Sequence[Record | Read]) -> list[KeyValue]:
    """Return what was sent of records read back."""
    return [(record.key, record.value) for record in records]


async def until(condition: Callable[[], Any], seconds: float = 20, what: str = "the condition") -> None:
    """Wait for a condition while the event loop goes on."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, f"{what} did not come true within {seconds:.0f} s"
        await asyncio.sleep(0.02)
