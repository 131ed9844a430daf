"""What Redis keeps in its memory: nothing goes that somebody has still to read; while too much waits, senders do."""

import asyncio

import pytest

from app.engine.errors import Unavailable
from app.engine.step import Output, Record
from tests.contract.brokers.every import BROKERS, Servers
from tests.contract.brokers.redis import StreamServer, tag
from tests.contract.brokers.server import Server
from tests.contract.space import Space, key_values, numbered, read_batches, read_records, table

RETAIN = 50


@pytest.fixture(params=[name for name, server in BROKERS.items() if issubclass(server, StreamServer)])
def server(request: pytest.FixtureRequest, servers: Servers) -> Server:
    """A running server of each kind that understands Redis' commands."""
    return servers.get(request.param)


@pytest.fixture
async def small(server: Server) -> Space:
    """Topics of one partition of which little is kept."""
    space = Space(server, redis_retain=RETAIN, redis_max_backlog=200, broker_timeout=1.0)
    await space.prepare()
    return space


def stem(space: Space, topic: str) -> str:
    """Return the key of a topic's first partition."""
    return f"{tag(space.settings)}:topic:{topic}:0"


def kept(space: Space, topic: str) -> int:
    """Return how many records of a topic are still there."""
    assert isinstance(space.server, StreamServer)
    with space.server.client() as client:
        return sum(int(fields[b"n"]) for _, fields in client.xrange(stem(space, topic)))


async def count_all(space: Space, records: int, portion: int = 20) -> None:
    """Read and commit so many records."""
    async with space.holding() as lease, asyncio.timeout(20):
        done = 0
        while done < records:
            batch = await lease.read(portion)
            if batch is not None:
                done += len(batch.records)
                await lease.commit(batch.next_offset, table(done=b"%d" % done), [])


async def send_in_pieces(space: Space, count: int, first: int = 0) -> None:
    """Send records in entries of ten."""
    for begin in range(first, first + count, 10):
        await space.send(*numbered(10, begin))


async def test_what_everybody_has_read_is_removed_but_for_the_last(small: Space) -> None:
    """So that memory is bounded; offsets go on as ever, and so does a new owner."""
    for turn in range(4):
        await send_in_pieces(small, 150, 150 * turn)
        await count_all(small, 150)
        assert RETAIN <= kept(small, small.topics.orders) < RETAIN + 20
    await small.send(*numbered(5, 600))
    async with small.holding() as lease:
        assert lease.next_offset == 600
        assert key_values(await read_records(lease, 5)) == numbered(5, 600)


async def test_nothing_is_removed_that_was_not_committed(small: Space) -> None:
    """However much was read of it, and however much is sent."""
    await send_in_pieces(small, 150)
    async with small.holding() as lease:
        await lease.commit((await read_batches(lease, 20, 20))[-1].next_offset, [], [])
        await read_records(lease, 130)
    await send_in_pieces(small, 60, 150)
    async with small.holding() as lease:
        await lease.commit(21, [], [])
        assert lease.next_offset == 21
    async with small.holding() as lease:
        assert key_values(await read_records(lease, 189)) == numbered(189, 21)


async def test_nothing_is_removed_that_another_application_has_to_read(small: Space, server: Server) -> None:
    """Each that ever worked on the topic counts, at work or not."""
    other = Space(server)
    other.settings = small.settings.model_copy(update={"app_id": f"{small.settings.app_id}-2"})
    await other.prepare()
    await send_in_pieces(small, 150)
    async with small.holding(), other.holding() as lease:
        await lease.commit((await read_batches(lease, 10, 10))[-1].next_offset, [], [])
    await count_all(small, 150)
    assert kept(small, small.topics.orders) == 140
    async with other.holding() as lease:
        assert key_values(await read_records(lease, 140)) == numbered(140, 10)
        await lease.commit(150, [], [])
    assert kept(small, small.topics.orders) < RETAIN + 20


async def test_updates_are_kept_for_a_while_and_dead_letters_for_good(small: Space) -> None:
    """Nobody of ours reads the updates; a dead letter is there until it is dealt with."""
    async with small.holding() as lease:
        for begin in range(0, 400, 10):
            numbers = range(begin, begin + 10)
            updates = [Output(small.topics.order_updates, 0, b"u", b"%d" % number) for number in numbers]
            letters = [Output(small.topics.dead_letters, 0, b"d", b"%d" % number) for number in numbers]
            await lease.commit(0, [], updates + letters)
    assert RETAIN <= kept(small, small.topics.order_updates) < RETAIN + 20
    assert await small.values(small.topics.dead_letters) == [b"%d" % number for number in range(400)]


async def test_senders_wait_while_too_much_waits(small: Space) -> None:
    """And go on as soon as it is read; not a record is lost or out of place."""
    async with small.transport.open_sender(small.settings) as sender, small.holding() as lease:

        async def send() -> None:
            for key, value in numbered(1_000):
                await sender.send(small.topics.orders, key, value)
                if int(value[1:] if value else 0) % 10 == 9:
                    await sender.flush()

        sending = asyncio.create_task(send())
        found: list[Record] = []
        async with asyncio.timeout(30):
            while len(found) < 1_000:
                batch = await lease.read(50)
                if batch is not None:
                    found += list(batch.records)
                    assert kept(small, small.topics.orders) <= 200 + RETAIN + 10
                    await lease.commit(batch.next_offset, [], [])
        await sending
        assert key_values(found) == numbered(1_000)


@pytest.mark.parametrize("worked_on", [False, True])
async def test_senders_are_told_when_nobody_reads(small: Space, worked_on: bool) -> None:
    """Within the broker time-out: with the setting, the topic, and who has to read."""
    if worked_on:
        async with small.holding():
            pass
    await send_in_pieces(small, 200)
    reader = f"application {small.settings.app_id}" if worked_on else "a first worker"
    with pytest.raises(Unavailable, match=rf"{small.topics.orders}\[0\] is full.*ORDERS_REDIS_MAX_BACKLOG.*{reader}"):
        await small.send((b"k", b"too much"))
    assert len(await small.values(small.topics.orders)) == 200
    await count_all(small, 200)
    await small.send((b"k", b"room again"))


async def test_what_a_step_sends_on_never_waits(small: Space) -> None:
    """A partition that waited for another to be read could wait for itself."""
    await send_in_pieces(small, 200)
    async with small.holding() as lease:
        await lease.commit(0, [], [Output(small.topics.orders, 0, b"f", b"forwarded")] * 100)
        assert len(await read_records(lease, 300)) == 300


async def test_an_application_that_comes_late_begins_with_what_is_left(small: Space, server: Server) -> None:
    """As on every broker, a state without any step starts at the oldest record there is."""
    await send_in_pieces(small, 150)
    await count_all(small, 150)
    left = kept(small, small.topics.orders)
    late = Space(server)
    late.settings = small.settings.model_copy(update={"app_id": f"{small.settings.app_id}-late"})
    await late.prepare()
    async with late.holding() as lease:
        assert lease.next_offset == 150 - left
        assert key_values(await read_records(lease, left)) == numbered(left, 150 - left)
