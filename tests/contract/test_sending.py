"""What senders write arrives: once, in order, in the partition that every Kafka client would choose."""

import asyncio
import random
import time
from collections import defaultdict

import pytest

from app.engine.errors import Inconsistent
from app.engine.step import Output
from tests.contract.brokers.server import Server
from tests.contract.conftest import NewSpace
from tests.contract.space import KeyValue, Space, key_values, numbered, read_records
from tests.oracle_events import partition_of

ODD: list[KeyValue] = [
    (b"k", b"v"),
    (None, b"no key"),
    (b"no value", None),
    (b"", b""),
    (b"\x00\xff", bytes(range(256))),
    ("käse".encode(), "漢".encode()),
]


async def test_records_arrive_as_they_were_sent(space: Space) -> None:
    """Keys and values, those that are absent or empty too, and the time at which they were sent."""
    before = int(time.time() * 1000)
    await space.send(*ODD)
    after = int(time.time() * 1000)
    async with space.holding() as lease:
        records = await read_records(lease, len(ODD))
    assert key_values(records) == ODD
    assert all(before <= record.timestamp <= after for record in records)
    assert {record.timestamp_type for record in records} == {0}
    assert [tuple(record.headers) for record in records] == [()] * len(ODD)
    assert key_values(await space.records(space.topics.orders)) == ODD


async def test_a_record_can_be_sent_to_a_partition_with_headers(new_space: NewSpace) -> None:
    """Whatever partition its key belongs to."""
    space = await new_space(partitions=3)
    orders, headers = space.topics.orders, (("h", b"\x00\xff"), ("h", b""))
    async with space.transport.open_sender(space.settings) as sender:
        for partition in (2, 0, 2):
            await sender.send(orders, b"k", b"%d" % partition, headers, partition)
        await sender.flush()
    assert partition_of(b"k", 3) == 2
    for partition, values in ((0, [b"0"]), (2, [b"2", b"2"])):
        async with space.holding(partition) as lease:
            records = await read_records(lease, len(values))
            assert key_values(records) == [(b"k", value) for value in values]
            assert [tuple(record.headers) for record in records] == [headers] * len(values)


async def test_headers_and_times_of_a_step_arrive_as_they_were_given(space: Space) -> None:
    """A letter tells what became of a record in headers, some names several times; and when it was sent first."""
    headers: list[tuple[str, bytes | None]] = [("h", b"\x00\xff"), ("h", b"again"), ("empty", b""), ("none", None)]
    headers.append(("größe", "ß".encode()))
    now = int(time.time() * 1000)
    hour, day = now - 3_600_000, now - 86_400_000  # much older, and the broker's retention may be first to see them
    sent = [
        Output(space.topics.orders, 0, b"a", b"1", headers, hour),
        Output(space.topics.orders, 0, b"b", b"2"),
        Output(space.topics.orders, 0, None, None, [("only", b"x")], day),
    ]
    async with space.holding() as lease:
        before = int(time.time() * 1000)
        await lease.commit(0, [], sent)
        after = int(time.time() * 1000)
        records = await read_records(lease, 3)
    seen = await space.records(space.topics.orders)
    for first, second, third in (records, seen):
        assert key_values([first, second, third]) == [(b"a", b"1"), (b"b", b"2"), (None, None)]
        assert [tuple(first.headers), tuple(second.headers)] == [tuple(headers), ()]
        assert tuple(third.headers) == (("only", b"x"),)
        assert (first.timestamp, third.timestamp) == (hour, day)
        assert before <= second.timestamp <= after


async def test_large_records_arrive(space: Space) -> None:
    """Up to 8 MB, whatever is sent around them."""
    chance = random.Random(1)
    sizes = [1, 100_000, 1, 1_000_000, 8_000_000, 2, 3_000_000]
    sent: list[KeyValue] = [(b"k%d" % size, chance.randbytes(size)) for size in sizes]
    await space.send(*sent)
    async with space.holding() as lease:
        assert key_values(await read_records(lease, len(sent))) == sent
        outputs = [Output(space.topics.dead_letters, 0, key, value) for key, value in sent]
        await lease.commit(len(sent), [], outputs)
    assert key_values(await space.records(space.topics.dead_letters)) == sent


async def test_a_key_has_the_partition_that_kafka_gives_it(new_space: NewSpace) -> None:
    """Whichever broker and whoever sends: the same customer, the same partition; and order is kept in each."""
    space = await new_space(partitions=5)
    chance = random.Random(2)
    sent: list[KeyValue] = [(chance.randbytes(chance.randrange(20)), b"%d" % number) for number in range(1_000)]
    await space.send(*sent)
    expected = defaultdict(list)
    for key, value in sent:
        expected[partition_of(key or b"", 5)].append((key, value))
    assert len(expected) == 5
    for partition in range(5):
        async with space.holding(partition) as lease:
            records = await read_records(lease, len(expected[partition]))
        assert key_values(records) == expected[partition]
        assert key_values(await space.records(space.topics.orders, partition)) == expected[partition]


async def test_records_without_a_key_are_spread(new_space: NewSpace) -> None:
    """Each arrives in some partition, and every partition gets some."""
    space = await new_space(partitions=3)
    await space.send(*((None, b"%d" % number) for number in range(300)))
    found = [await space.values(space.topics.orders, partition) for partition in range(3)]
    assert all(found)
    assert sorted(value for values in found for value in values if value) == sorted(b"%d" % n for n in range(300))


async def test_many_records_keep_their_order(space: Space) -> None:
    """Also where they go out faster than they are acknowledged."""
    sent = numbered(30_000)
    await space.send(*sent)
    async with space.holding() as lease:
        assert key_values(await read_records(lease, len(sent))) == sent


async def test_senders_side_by_side_keep_their_own_order(space: Space) -> None:
    """Three at once, in small pieces: nothing lost, nothing twice, nothing overtaken."""

    async def send(name: bytes) -> None:
        for part in range(5):
            await space.send(*((name, b"%d" % number) for number in range(part * 40, part * 40 + 40)))

    await asyncio.gather(*(send(name) for name in (b"a", b"b", b"c")))
    records = await space.records(space.topics.orders)
    assert len(records) == 600
    for name in (b"a", b"b", b"c"):
        assert [record.value for record in records if record.key == name] == [b"%d" % n for n in range(200)]


async def test_a_record_sent_while_a_sender_idles_needs_no_flush(space: Space) -> None:
    """Sending goes on in the background."""
    async with space.transport.open_sender(space.settings) as sender, space.holding() as lease:
        await sender.send(space.topics.orders, b"k", b"v")
        assert key_values(await read_records(lease, 1, seconds=5)) == [(b"k", b"v")]
        async with asyncio.timeout(5):
            while sender.acknowledged < 1:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)


async def test_whether_an_order_was_ever_sent_is_known(server: Server) -> None:
    """Before the topics are there, while they are empty, and afterwards."""
    space = Space(server)
    assert await space.transport.is_unused(space.settings)
    await space.prepare()
    assert await space.transport.is_unused(space.settings)
    await space.send((b"k", b"v"), topic=space.topics.dead_letters)
    assert await space.transport.is_unused(space.settings)
    await space.send((b"k", b"v"))
    assert not await space.transport.is_unused(space.settings)


async def test_topics_are_made_once(space: Space) -> None:
    """To prepare again, also with another number of partitions, loses nothing; the other number is refused."""
    await space.send((b"k", b"v"))
    await space.prepare()
    assert await space.values(space.topics.orders) == [b"v"]
    other = space.settings.model_copy(update={"partitions": 7})
    with pytest.raises(Inconsistent, match="ORDERS_PARTITIONS"):
        await space.transport.prepare(other)
