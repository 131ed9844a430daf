"""Engines at work on a real broker while others claim their partition: every record counts once, whoever wins."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.engine import lane as lane_module
from app.engine.broker import Lease
from app.engine.engine import Engine
from app.engine.errors import EngineError
from app.engine.step import Output, Step
from app.engine.table import Table
from tests.contract.brokers.server import as_number
from tests.contract.space import KeyValue, Space
from tests.unit.memory_broker import QuickClock

RECORDS = 1_200
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


@pytest.fixture
async def run(space: Space, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A topic full of records; steps are small, so that many are disturbed."""
    monkeypatch.setattr(lane_module, "MAX_RECORDS", 20)
    run = Run(space)
    await run.send(RECORDS)
    return run


async def test_claims_of_a_stranger_cost_nothing_but_time(run: Run) -> None:
    """Whoever claims the partition at any moment and does nothing with it: rows and outputs stay exact."""
    engine = run.engine()
    await engine.assign({0})

    async def disturb() -> None:
        await (await run.space.claim()).release()

    await run.until_done([engine], disturb)
    for _ in range(3):  # also where it waits for more
        await disturb()
        await run.send(20)
        await run.until_done([engine])
    assert run.claimant.claims > 3, "hardly anybody disturbed it"
    await engine.stop()
    await run.check()


async def test_two_that_both_believe_to_own_a_partition_count_everything_once(run: Run) -> None:
    """They fence each other as long as it takes, and what each commits goes on where the other stopped."""
    engines = [run.engine(), run.engine()]
    for engine in engines:
        await engine.assign({0})
    await run.until_done(engines)
    assert run.claimant.claims > 2, "they never met"
    await asyncio.gather(*(engine.stop() for engine in engines))
    await run.check()


async def test_a_stop_in_the_middle_is_taken_up_without_a_loss(run: Run) -> None:
    """Engines that are stopped after a few steps, one after the other, come to the same end as one."""
    done = 0
    for _ in range(200):
        engine = run.engine()
        await engine.assign({0})
        begin = done
        async with asyncio.timeout(20):
            while engine.status()[0].next_offset in (None, begin):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.001)
        await engine.stop()
        done = engine.status()[0].next_offset or 0
        assert done > begin
        if done == RECORDS:
            break
    await run.check()
