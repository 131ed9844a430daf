"""The server is killed and started again: all that was acknowledged is there, and nothing is there twice.

On Kafka, whose own work this mostly is and takes its time, these tests are marked `long`.
"""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from msgspec import structs

from app.engine.errors import Fenced, Unavailable, Unknown
from app.engine.step import Output
from tests.contract.brokers.every import Servers, over
from tests.contract.brokers.server import Server, as_number
from tests.contract.conftest import NewSpace
from tests.contract.member import Member, joined
from tests.contract.space import Space, key_values, loaded, numbered, read_records, table, until

EXPECTED = (Fenced, Unknown, Unavailable)
CRASHES = 2


@pytest.fixture(scope="module", params=over(long=["kafka"]))
def server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Server]:
    """A server that nobody else is using."""
    with servers.own(request.param) as own:
        yield own


async def settle(space: Space) -> None:
    """Wait until what was committed is safe."""
    if space.server.answers_early:
        for topic in space.topics:
            await space.records(topic)


async def crash(space: Space) -> None:
    """Kill the server and start it again."""
    await asyncio.to_thread(space.server.kill)
    await asyncio.to_thread(space.server.start)


async def test_what_was_acknowledged_outlives_a_crash(space: Space) -> None:
    """Records, rows, outputs and the offset.

    A lease from before goes on exactly, or says that it is of no use any more; what it does is there once, or not.
    """
    sent = numbered(500)
    rows = {("t", f"k{number}"): b"%d" % number for number in range(3_000)}
    update = Output(space.topics.order_updates, 0, b"u", b"1")
    await space.send(*sent)
    lease = await space.claim()
    await loaded(lease)
    await lease.commit(200, [("t", [(key, value) for (_, key), value in rows.items()])], [update])
    await settle(space)
    await crash(space)
    assert key_values(await space.records(space.topics.orders)) == sent
    assert await space.values(space.topics.order_updates) == [b"1"]
    assert await space.state() == (rows, 200)
    assert await space.snapshot() == rows

    certain = True
    try:
        await lease.commit(201, table(k0=b"new"), [structs.replace(update, value=b"2")])
    except EXPECTED:
        certain = False
    await lease.release()
    async with space.holding() as after:
        updates = await space.values(space.topics.order_updates)
        if certain or after.next_offset == 201:
            assert (after.next_offset, updates) == (201, [b"1", b"2"])
            rows["t", "k0"] = b"new"
        else:
            assert (after.next_offset, updates) == (200, [b"1"])
        assert await space.snapshot() == rows
        assert key_values(await read_records(after, 500 - after.next_offset)) == sent[after.next_offset :]


async def test_work_goes_on_over_crashes_and_counts_everything_once(space: Space) -> None:
    """A sender and an owner are at work while the server is killed.

    The owner claims again whenever its lease is of no use any more, as a lane does, and goes on where it then is.
    """
    total = 1_000
    over, quiet = asyncio.Event(), asyncio.Lock()
    async with asyncio.timeout(90), asyncio.TaskGroup() as tasks:
        tasks.create_task(_crash_again_and_again(space, over, quiet))
        tasks.create_task(_send_until(space, total, over))
        await _count(space, total, quiet)
    values = [b"v%d" % number for number in range(total)]
    assert await space.values(space.topics.orders) == values
    assert await space.values(space.topics.order_updates) == values
    assert (await space.state()).rows == {("t", "count"): b"%d" % total}


async def _count(space: Space, total: int, quiet: asyncio.Lock) -> None:
    """Count all records in one row and send them on."""
    counted = 0
    while counted < total:
        try:
            lease = await space.claim()
        except EXPECTED:
            continue
        try:
            rows = await loaded(lease)
            found = as_number(rows.get(("t", "count"), b"0"))
            assert found >= counted, "what was committed is gone"
            counted = found
            while counted < total:
                batch = await lease.read(100)
                if not batch.records:
                    continue
                outputs = [Output(space.topics.order_updates, 0, r.key, r.value) for r in batch.records]
                after = counted + len(batch.records)
                async with quiet if space.server.answers_early else contextlib.nullcontext():
                    await lease.commit(batch.next_offset, table(count=b"%d" % after), outputs)
                counted = after
        except EXPECTED:
            continue
        finally:
            await lease.release()


async def _crash_again_and_again(space: Space, over: asyncio.Event, quiet: asyncio.Lock) -> None:
    """Crash while there is work, and see that it goes on, before the next crash and at the end."""
    for _ in range(CRASHES):
        before = len(await space.values(space.topics.order_updates))
        async with quiet if space.server.answers_early else contextlib.nullcontext():
            await settle(space)
            await crash(space)
        while len(await space.values(space.topics.order_updates)) <= before:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)
    over.set()


async def _send_until(space: Space, total: int, over: asyncio.Event) -> None:
    """Send so many records, the last of them once all crashes are over."""
    async with space.transport.open_sender(space.settings) as sender:
        for number, (key, value) in enumerate(numbered(total)):
            await sender.send(space.topics.orders, key, value)
            if number < total - 100:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), 0.01)
        await over.wait()
        await sender.flush()
        assert sender.acknowledged == total


async def test_the_group_outlives_a_crash(new_space: NewSpace) -> None:
    """Members stay, or come back by themselves, and the group confirms their shares again."""
    space = await new_space(partitions=4)
    async with joined(space.settings, "a") as first, joined(space.settings, "b") as second:

        def shared() -> bool:
            owned = [first.owned or set(), second.owned or set()]
            return sorted(map(len, owned)) == [2, 2] and set().union(*owned) == {0, 1, 2, 3}

        await until(shared, 20, "even shares")
        await crash(space)
        async with asyncio.timeout(30):
            while not (shared() and await _is_confirmed(first, second)):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)


async def _is_confirmed(*members: Member) -> bool:
    """Say whether the group confirms each member's share."""
    try:
        return all([await member.membership.confirm(p) for member in members for p in member.owned or set()])
    except Unavailable:
        return False
