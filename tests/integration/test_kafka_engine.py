"""Lanes on a real broker while others claim their partition: every record counts once, whoever wins."""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from app.engine import lane as lane_module
from app.engine.engine import Engine
from app.engine.errors import EngineError
from app.engine.step import Output, Step
from app.engine.table import Table
from app.settings import Settings
from app.topics import Topics
from app.transports.kafka import lease as lease_module
from app.transports.kafka.lease import KafkaLease, claim
from app.transports.kafka.state_records import OFFSET_KEY
from tests.integration.kafka_kit import Transaction, committed, produce, provisioned, table_of
from tests.unit.memory_broker import QuickClock
from tools.local_kafka import LocalKafka

pytestmark = pytest.mark.usefixtures("nothing_forgotten")

RECORDS = 3_000
CUSTOMERS = 11


class Claimant:
    """A broker that always says the partition is ours, as a worker believes that has not heard otherwise."""

    def __init__(self, settings: Settings, topics: Topics) -> None:
        self.claims = 0
        self._settings = settings
        self._topics = topics

    async def claim(self, partition: int) -> KafkaLease:
        """Claim for real."""
        self.claims += 1
        return await claim(self._settings, self._topics, partition)

    async def confirm(self, partition: int) -> bool:
        """Say yes, after a moment."""
        await asyncio.sleep(0.02)
        return True


class Run:
    """Engines over one partition of one topic."""

    def __init__(self, broker: LocalKafka, settings: Settings, topics: Topics) -> None:
        self.broker = broker
        self.failures: list[EngineError] = []
        self.claimant = Claimant(settings, topics)
        self._topics = topics

    def engine(self) -> Engine:
        """Return an engine that counts keys and sends every record on."""
        return Engine(self.claimant, (Table("counts"),), self._count, QuickClock(), self.failures.append)

    async def _count(self, steps: AsyncIterator[Step]) -> None:
        async for step in steps:
            counts = step.table("counts")
            for record in step.records:
                key = (record.key or b"").decode()
                counts.put(key, (counts.get(key) or 0) + 1)
                step.send(Output(self._topics.order_updates, 0, record.key, record.value))
            await asyncio.sleep(0)

    def produce(self, first: int, count: int) -> None:
        """Send records that go on counting at `first`."""
        records = [(b"t%d" % (number % CUSTOMERS), b"%d" % number) for number in range(first, first + count)]
        produce(self.broker, self._topics.orders, records, batch_num_messages=70)

    def check(self, total: int) -> None:
        """Check that every record counted once, in rows and in outputs."""
        rows = table_of(self.broker, self._topics.state)
        assert orjson.loads(rows.pop(OFFSET_KEY)) == {"next": total}
        expected = Counter(f"t{number % CUSTOMERS}" for number in range(total))
        assert {key.decode().removeprefix("counts/"): int(value) for key, value in rows.items()} == expected
        values = [record.value for record in committed(self.broker, self._topics.order_updates)]
        assert values == [b"%d" % number for number in range(total)]
        assert self.failures == []


async def until_done(engines: list[Engine], total: int, disturb: Callable[[], object]) -> None:
    """Wait until one of the engines has come to the end, disturbing them all the while."""
    chance = random.Random(11)
    async with asyncio.timeout(60):
        while not any(status.next_offset == total for engine in engines for status in engine.status()):
            await asyncio.sleep(chance.uniform(0.05, 0.2))
            await asyncio.to_thread(disturb)


@pytest.fixture
async def run(kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A topic full of records; steps are small, so that many are disturbed."""
    monkeypatch.setattr(lane_module, "MAX_RECORDS", 20)
    settings, topics = await provisioned(kafka)
    run = Run(kafka, settings, topics)
    run.produce(0, RECORDS)
    return run


async def test_claims_of_a_stranger_cost_nothing_but_time(run: Run) -> None:
    """Whoever claims the partition at any moment and does nothing with it: rows and outputs stay exact."""
    engine = run.engine()
    await engine.assign({0})

    def disturb() -> object:
        return Transaction(run.broker, f"{run._topics.state}-0")

    await until_done([engine], RECORDS, disturb)
    total = RECORDS
    for _ in range(3):  # also where it waits for more
        await asyncio.to_thread(disturb)
        run.produce(total, 20)
        total += 20
        await until_done([engine], total, lambda: None)
    assert run.claimant.claims > 3, "hardly anybody disturbed it"
    await engine.stop()
    run.check(total)


async def test_two_that_both_believe_to_own_a_partition_count_everything_once(run: Run) -> None:
    """They fence each other as long as it takes, and what each commits goes on where the other stopped."""
    engines = [run.engine(), run.engine()]
    for engine in engines:
        await engine.assign({0})
    await until_done(engines, RECORDS, lambda: None)
    assert run.claimant.claims > 2, "they never met"
    await asyncio.gather(*(engine.stop() for engine in engines))
    run.check(RECORDS)


async def test_without_the_fence_two_owners_count_twice(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above: with a transactional id for each claim, the same run is wrong."""

    def unfenced(*, transactional_id: str, **options: object) -> object:
        return AIOKafkaProducer(transactional_id=f"{transactional_id}-{secrets.token_hex(4)}", **options)

    monkeypatch.setattr(lease_module, "AIOKafkaProducer", unfenced)
    engines = [run.engine(), run.engine()]
    for engine in engines:
        await engine.assign({0})
    await until_done(engines, RECORDS, lambda: None)
    await asyncio.gather(*(engine.stop() for engine in engines))
    assert len(committed(run.broker, run._topics.order_updates)) > RECORDS


async def test_a_stop_in_the_middle_is_taken_up_without_a_loss(run: Run) -> None:
    """Engines that are stopped after a few steps, one after the other, come to the same end as one."""
    done = 0
    for _ in range(200):
        engine = run.engine()
        await engine.assign({0})
        begin = done
        async with asyncio.timeout(20):
            while engine.status()[0].next_offset in (None, begin):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.005)
        await engine.stop()
        done = engine.status()[0].next_offset or 0
        assert done > begin
        if done == RECORDS:
            break
    run.check(RECORDS)
