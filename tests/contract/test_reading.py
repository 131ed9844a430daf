"""How a lease reads: from where it stands, in portions as asked for, without a loss and without waiting in vain."""

import asyncio
import random
import time
from itertools import pairwise
from statistics import median

import pytest

from app.engine.broker import Batch
from app.engine.step import Output, Record
from tests.contract.space import (
    Space,
    key_values,
    numbered,
    read_batches,
    read_records,
    table,
)


def check_chain(batches: list[Batch], first_offset: int) -> None:
    """Check that batches follow each other and hold their records in between."""
    assert batches[0].first_offset == first_offset
    for batch in batches:
        offsets = [record.offset for record in batch.records]
        assert offsets == sorted(set(offsets))
        assert all(batch.first_offset <= offset < batch.next_offset for offset in offsets)
        assert batch.next_offset <= batch.end_offset
    for former, latter in pairwise(batches):
        assert former.next_offset == latter.first_offset


@pytest.mark.parametrize("portion", [1, 3, 50, 4_000])
async def test_records_come_in_portions_as_small_as_asked_for(space: Space, portion: int) -> None:
    """However they were sent; each portion says where it begins and where to go on."""
    sent = numbered(120)
    await space.send(*sent)
    async with space.holding() as lease:
        batches = await read_batches(lease, len(sent), portion)
    assert max(len(batch.records) for batch in batches) <= portion
    check_chain(batches, 0)
    assert key_values([record for batch in batches for record in batch.records]) == sent


async def test_reading_goes_on_in_the_middle_of_what_was_sent_together(space: Space) -> None:
    """From every single offset of it."""
    sent = numbered(25)
    await space.send(*sent)
    for done in range(26):
        async with space.holding() as lease:
            assert lease.next_offset == max(0, done - 1)
            await lease.commit(done, [], [])
        async with space.holding() as lease:
            assert lease.next_offset == done
            if done < 25:
                batches = await read_batches(lease, 25 - done, 10)
                check_chain(batches, done)
                assert key_values([record for batch in batches for record in batch.records]) == sent[done:]


async def test_what_was_read_but_not_committed_comes_again(space: Space) -> None:
    """To the next owner, from the committed offset on."""
    sent = numbered(30)
    await space.send(*sent)
    async with space.holding() as lease:
        first = await read_batches(lease, 10, 10)
        await lease.commit(first[-1].next_offset, table(a=b"1"), [])
        await read_records(lease, 20)
    async with space.holding() as lease:
        assert key_values(await read_records(lease, 20)) == sent[10:]


async def test_an_idle_read_ends_soon_with_nothing(space: Space) -> None:
    """So that a lane can look around; also behind records."""
    async with space.holding() as lease:
        for expected in ([], numbered(3)):
            if expected:
                await space.send(*expected)
                await read_records(lease, 3)
            begin = time.monotonic()
            batch = await lease.read(10)
            assert time.monotonic() - begin < 5
            assert not batch.records
            if batch is not None:
                assert batch.next_offset == batch.end_offset == len(expected)


async def test_a_record_sent_while_a_read_waits_comes_at_once(space: Space) -> None:
    """Not only when the wait is over: as a rule, as a busy machine may take its time once."""
    seconds = []
    async with space.holding() as lease, space.transport.open_sender(space.settings) as sender:
        await sender.send(space.topics.orders, b"warm", b"up")
        await read_records(lease, 1)
        for number in range(10):
            reading = asyncio.create_task(read_records(lease, 1))
            await asyncio.sleep(random.Random(number).uniform(0.0, 0.1))  # at any point of the wait
            begin = time.monotonic()
            await sender.send(space.topics.orders, b"k", b"%d" % number)
            (record,) = await reading
            seconds.append(time.monotonic() - begin)
            assert record.value == b"%d" % number
    assert median(seconds) < 0.25, seconds


async def test_a_read_that_is_cancelled_loses_nothing(space: Space) -> None:
    """At any moment: while it waits, while records arrive, while they are taken up."""
    chance = random.Random(3)
    sent = numbered(2_000)
    found: list[Record] = []
    finished = asyncio.Event()

    async def send() -> None:
        for begin in range(0, len(sent), 50):
            await space.send(*sent[begin : begin + 50])
        finished.set()

    sending = asyncio.create_task(send())
    cancelled = 0
    async with space.holding() as lease, asyncio.timeout(40):
        while len(found) < len(sent):
            reading = asyncio.create_task(lease.read(chance.choice([1, 10, 1_000])))
            if not finished.is_set():
                await asyncio.wait({reading}, timeout=chance.choice([0, 0.001, 0.003, 0.01]))
                reading.cancel()
            try:
                batch = await reading
            except asyncio.CancelledError:
                cancelled += 1
                continue
            found += batch.records
    await sending
    assert cancelled > 10
    assert key_values(found) == sent


async def test_the_lag_is_known(space: Space) -> None:
    """The end of the partition is told with each batch, to the record; it goes on as more is sent."""
    await space.send(*numbered(40))
    async with space.holding() as lease:
        batches = await read_batches(lease, 10, 10)
        assert batches[-1].end_offset - batches[-1].next_offset == 30
        await space.send(*numbered(5))
        batches = await read_batches(lease, 35, 10)
        assert (batches[-1].next_offset, batches[-1].end_offset) == (45, 45)


async def test_what_a_step_writes_to_its_own_source_comes_back(space: Space) -> None:
    """As forwarded and retried records do: behind what is there, once."""
    await space.send(*numbered(3))
    async with space.holding() as lease:
        batches = await read_batches(lease, 3)
        forwarded = [Output(space.topics.orders, 0, b"f", b"%d" % n, [("from", b"here")]) for n in range(300)]
        await lease.commit(batches[-1].next_offset, table(a=b"1"), forwarded)
        back = await read_batches(lease, 300)
        check_chain(back, batches[-1].next_offset)
        records = [record for batch in back for record in batch.records]
        assert [record.value for record in records] == [b"%d" % n for n in range(300)]
        assert {tuple(record.headers) for record in records} == {(("from", b"here"),)}
        await lease.commit(back[-1].next_offset, table(a=b"2"), [])
    async with space.holding() as lease:
        batch = await lease.read(10)
        assert not batch.records


async def test_other_partitions_are_not_read(space: Space) -> None:
    """A lease reads its own partition of the orders topic, and nothing else."""
    await space.send(*numbered(5), topic=space.topics.order_updates)
    await space.send((b"k", b"mine"))
    async with space.holding() as lease:
        assert [record.value for record in await read_records(lease, 1)] == [b"mine"]
        batch = await lease.read(10)
        assert not batch.records
