"""Engines at work on a real broker, counting keys and sending every record on."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

from app.engine.broker import Lease
from app.engine.engine import Engine
from app.engine.errors import EngineError
from app.engine.step import Output, Step
from app.engine.table import Table
from tests.contract.brokers.server import as_number
from tests.contract.space import KeyValue, Space
from tests.unit.memory_broker import QuickClock

CUSTOMERS = 11


class Claimant:
    """A broker that always says the partition is ours, as a worker believes that has not heard otherwise."""

    def __init__(self, space: Space) -> None:
        self.claims = 0
        self._space = space

    async def claim(self, partition: int) -> Lease:
        """Claim for real."""
        self.claims += 1
        return await self._space.claim(partition)

    async def confirm(self, partition: int) -> bool:
        """Say yes, after a moment."""
        await asyncio.sleep(0.02)
        return True


class Run:
    """Engines over one partition."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.failures: list[EngineError] = []
        self.claimant = Claimant(space)
        self.sent = 0

    def engine(self) -> Engine:
        """Return an engine that counts keys and sends every record on."""
        return Engine(self.claimant, (Table("counts"),), self._count, QuickClock(), self.failures.append)

    async def _count(self, steps: AsyncIterator[Step]) -> None:
        async for step in steps:
            counts = step.table("counts")
            for record in step.records:
                key = (record.key or b"").decode()
                counts.put(key, (counts.get(key) or 0) + 1)
                step.send(Output(self.space.topics.order_updates, 0, record.key, record.value))
            await asyncio.sleep(0)

    async def send(self, count: int) -> None:
        """Send more records."""
        numbers = range(self.sent, self.sent + count)
        records: list[KeyValue] = [(b"t%d" % (number % CUSTOMERS), b"%d" % number) for number in numbers]
        self.sent += count
        await self.space.send(*records)

    async def until_done(
        self, engines: list[Engine], disturb: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)
    ) -> None:
        """Wait until one of the engines has come to the end, disturbing them all the while."""
        chance = random.Random(11)
        async with asyncio.timeout(60):
            while not any(status.next_offset == self.sent for engine in engines for status in engine.status()):
                await asyncio.sleep(chance.uniform(0.01, 0.15))
                await disturb()

    async def check(self) -> None:
        """Check that every record counted once, in rows and in outputs."""
        rows, offset = await self.space.state()
        assert offset == self.sent
        expected = Counter(f"t{number % CUSTOMERS}" for number in range(self.sent))
        assert {key: as_number(value) for (_, key), value in rows.items()} == expected
        values = await self.space.values(self.space.topics.order_updates)
        assert values == [b"%d" % number for number in range(self.sent)]
        assert self.failures == []
