"""Keys that others wrote, changed or deleted: a clear error, and never half of a step."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from app.engine.errors import EngineError, Inconsistent
from app.engine.step import Output
from app.transports.redis_streams.keys import Keys, keys_for
from tests.contract.space import Space, loaded, numbered, read_records, table
from tests.integration.redis_kit import MAKES, RedisNode, worker_settings
from tests.integration.worker_process import WorkerProcess


@pytest.fixture(scope="module", params=MAKES)
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisNode]:
    """A server of each make."""
    with RedisNode(tmp_path_factory.mktemp("node"), request.param) as running:
        yield running


async def prepared(node: RedisNode, **more: Any) -> tuple[Space, Keys]:
    """Return topics with ten records, three of them counted, and their keys."""
    space = Space(node, **more)
    await space.prepare()
    await space.send(*numbered(10))
    async with space.holding() as lease:
        await lease.commit(3, table(a=b"3"), outputs(space))
    return space, keys_for(space.settings)


def outputs(space: Space) -> list[Output]:
    """Return an output to each of two topics."""
    topics = space.topics
    return [Output(topic, 0, b"k", b"v") for topic in (topics.order_updates, topics.dead_letters)]


def named(space: Space, keys: Keys, name: str) -> str:
    """Return a key by what it is."""
    topics = space.topics
    return {
        "lease": keys.lease(0),
        "members": keys.members,
        "assignment": keys.assignment,
        "state": keys.state(0),
        "orders": keys.stream(topics.orders, 0),
        "offsets": keys.offsets(topics.orders, 0),
        "updates": keys.stream(topics.order_updates, 0),
        "updates' offsets": keys.offsets(topics.order_updates, 0),
        "letters": keys.stream(topics.dead_letters, 0),
        "letters' offsets": keys.offsets(topics.dead_letters, 0),
        "topic": keys.topic(topics.orders),
    }[name]


OUTPUTS = ("updates", "updates' offsets", "letters", "letters' offsets")


@pytest.mark.parametrize("name", ["state", "orders", *OUTPUTS])
async def test_a_commit_that_meets_a_foreign_key_writes_nothing(node: RedisNode, name: str) -> None:
    """Not even what comes before that key; the error names it."""
    space, keys = await prepared(node)
    key = named(space, keys, name)
    async with space.holding() as lease:
        node.command("SET", key, "foreign")
        before = node.dump()
        with pytest.raises(Inconsistent) as caught:
            await lease.commit(4, table(a=b"4", b=b"4"), outputs(space))
        assert key in str(caught.value)
        assert node.dump() == before
        node.command("DEL", key)


@pytest.mark.parametrize("name", ["lease", "members", "state", "orders", "offsets"])
async def test_a_claim_that_meets_a_foreign_key_is_told(node: RedisNode, name: str) -> None:
    """The error names it; whoever owned the partition is not fenced out for it."""
    space, keys = await prepared(node)
    key = named(space, keys, name)
    node.command("SET", key, "foreign")
    before = node.dump()
    with pytest.raises(Inconsistent, match="string") as caught:
        await space.claim()
    assert key in str(caught.value)
    assert node.dump() == before


@pytest.mark.parametrize("name", ["orders", "offsets"])
async def test_a_sender_that_meets_a_foreign_key_is_told(node: RedisNode, name: str) -> None:
    """The error names it."""
    space, keys = await prepared(node)
    key = named(space, keys, name)
    node.command("SET", key, "foreign")
    with pytest.raises(Inconsistent, match="string") as caught:
        await space.send(*numbered(1))
    assert key in str(caught.value)


@pytest.mark.parametrize("name", ["topic", "members", "assignment"])
def test_a_worker_that_meets_a_foreign_key_says_so(node: RedisNode, name: str) -> None:
    """One line with the key, exit code 4."""
    space = Space(node)
    key = named(space, keys_for(space.settings), name)
    node.command("LPUSH", key, "foreign")
    with WorkerProcess(**worker_settings(space.settings)) as worker:
        assert worker.ends(10) == Inconsistent.exit_code, worker.output
        assert len(worker.errors) == 1
        assert key in worker.errors[0]
        assert "Traceback" not in worker.output, worker.output


def test_an_assignment_that_makes_no_sense_is_told(node: RedisNode) -> None:
    """One line, exit code 4."""
    space = Space(node)
    node.command("SET", keys_for(space.settings).assignment, "foreign")
    with WorkerProcess(**worker_settings(space.settings)) as worker:
        assert worker.ends(10) == Inconsistent.exit_code, worker.output
        assert "assignment" in worker.errors[0]


# --- foreign entries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["updates", "letters"])
async def test_a_foreign_entry_in_an_output_is_told_and_nothing_is_written(node: RedisNode, name: str) -> None:
    """Its id is that of a time, larger than any of ours: no entry could be added behind it."""
    space, keys = await prepared(node)
    key = named(space, keys, name)
    entry = node.command("XADD", key, "*", "foreign", "1").decode()
    async with space.holding() as lease:
        before = node.dump()
        with pytest.raises(Inconsistent) as caught:
            await lease.commit(4, table(a=b"4"), outputs(space))
        assert key in str(caught.value)
        assert entry in str(caught.value)
        assert node.dump() == before


@pytest.mark.parametrize("name", ["updates", "letters", "orders"])
async def test_a_foreign_entry_that_was_deleted_again_is_told_and_nothing_is_counted(
    node: RedisNode, name: str
) -> None:
    """The stream remembers its id: no entry of ours can be added behind it."""
    space, keys = await prepared(node)
    key = named(space, keys, name)
    node.command("XDEL", key, node.command("XADD", key, "*", "foreign", "1"))
    before = await space.state()
    async with space.holding() as lease:
        writing = space.send(*numbered(2, 10)) if name == "orders" else lease.commit(4, table(a=b"4"), outputs(space))
        with pytest.raises(Inconsistent, match="remembers") as caught:
            await writing
        assert key in str(caught.value)
        assert await space.state() == before


async def test_a_foreign_entry_among_the_orders_is_told(node: RedisNode) -> None:
    """To whoever reads it and to whoever would send; the line says how to remove it."""
    space, keys = await prepared(node)
    key = named(space, keys, "orders")
    entry = node.command("XADD", key, "*", "foreign", "1").decode()
    async with space.holding() as lease:
        with pytest.raises(Inconsistent, match=f"XDEL.* {entry}"):
            await read_records(lease, 8)
    with pytest.raises(Inconsistent, match=entry):
        await space.send(*numbered(1))


# --- what was deleted or changed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["state", "offsets", "lease"])
async def test_a_state_that_lost_a_part_is_not_gone_on_with(node: RedisNode, name: str) -> None:
    """Rows without their offset would be counted again; an offset without its rows is all that is left of them."""
    space, keys = await prepared(node)
    node.command("DEL", named(space, keys, name))
    before = node.dump()
    with pytest.raises(Inconsistent, match="not as its last commit left it"):
        await space.claim()
    assert node.dump() == before


async def test_a_row_more_or_less_is_noticed(node: RedisNode) -> None:
    """Somebody mended the state by hand."""
    space, keys = await prepared(node)
    node.command("HSET", keys.state(0), "t/b", "1")
    with pytest.raises(Inconsistent, match=r"2 rows.*where 1"):
        await space.claim()
    node.command("HDEL", keys.state(0), "t/b")
    async with space.holding() as lease:
        assert lease.next_offset == 3


async def test_an_offset_that_was_set_by_hand_is_noticed(node: RedisNode) -> None:
    """To count records again takes a state without them."""
    space, keys = await prepared(node)
    node.command("HSET", keys.offsets(space.topics.orders, 0), keys.group_field, "0")
    with pytest.raises(Inconsistent, match=r"offset 0 .*where 3"):
        await space.claim()


async def test_what_the_error_says_to_delete_is_enough_to_count_anew(node: RedisNode) -> None:
    """State, lease and the group's offset."""
    space, keys = await prepared(node)
    node.command("HSET", keys.offsets(space.topics.orders, 0), keys.group_field, "0")
    with pytest.raises(Inconsistent) as caught:
        await space.claim()
    for key in (keys.state(0), keys.lease(0)):
        assert key in str(caught.value)
        node.command("DEL", key)
    assert keys.group_field in str(caught.value)
    node.command("HDEL", keys.offsets(space.topics.orders, 0), keys.group_field)
    async with space.holding() as lease:
        assert lease.next_offset == 0
        assert len(await read_records(lease, 10)) == 10


async def test_a_topic_that_was_deleted_under_its_state_is_told(node: RedisNode) -> None:
    """New records would have offsets that were counted before."""
    space, keys = await prepared(node)
    topic = space.topics.orders
    node.command("DEL", keys.stream(topic, 0))
    node.command("HDEL", keys.offsets(topic, 0), "end")
    lease = await space.claim()
    with pytest.raises(Inconsistent, match="the topic was deleted"):
        await loaded(lease)
    await lease.release()


async def test_a_topic_that_is_deleted_while_it_is_read_is_noticed(node: RedisNode) -> None:
    """Nothing that comes then would ever be read."""
    space, keys = await prepared(node)
    async with space.holding() as lease:
        await read_records(lease, 7)
        node.command("DEL", keys.stream(space.topics.orders, 0), keys.offsets(space.topics.orders, 0))
        with pytest.raises(EngineError, match="ends at offset 0 now"):
            await _read_on(lease)
    with pytest.raises(Inconsistent, match="not as its last commit left it"):
        await space.claim()


async def _read_on(lease: Any) -> None:
    async with asyncio.timeout(10):
        while True:
            await lease.read(100)


@pytest.mark.parametrize("choice", ["stop", "continue"])
async def test_records_deleted_from_the_middle_are_told_or_left_out(node: RedisNode, choice: Any) -> None:
    """As ORDERS_ON_LOST_RECORDS says; they do not stand in the way for ever."""
    space, keys = await prepared(node, on_lost_records=choice)
    await space.send(*numbered(5, 10))
    await space.send(*numbered(5, 15))
    node.command("XDEL", keys.stream(space.topics.orders, 0), "0-15")
    async with space.holding() as lease:
        if choice == "continue":
            records = await read_records(lease, 12)
            assert [record.offset for record in records] == [*range(3, 10), *range(15, 20)]
            return
        with pytest.raises(Inconsistent, match=r"5 records at offset 10 .*ORDERS_ON_LOST_RECORDS"):
            await read_records(lease, 12)


# --- the clock of the server ------------------------------------------------------------------------------------------


async def test_members_are_forgotten_by_the_clock_of_the_server_however_it_jumps(node: RedisNode) -> None:
    """One that was silent for too long, and one from a future that the clock came back from; never oneself."""
    space = Space(node)
    keys = keys_for(space.settings)
    membership: Any = space.transport.open_membership(space.settings, "http://x", _nothing, _nothing)
    now = int(node.command("TIME")[0]) * 1000
    session = int(space.settings.session_timeout * 1000)
    forged = {"dead": now - session - 1_000, "alive": now - session // 4, "ahead": now + session // 2}
    forged |= {"future": now + 10 * session, membership.worker: now + 3_600_000}
    for worker, score in forged.items():
        node.command("ZADD", keys.members, score, worker)
    await membership.start()
    members = {member.decode() for member in node.command("ZRANGE", keys.members, 0, -1)}
    assert members == {"alive", "ahead", membership.worker}
    assert abs(float(node.command("ZSCORE", keys.members, membership.worker)) - now) < 5_000
    await membership.stop()
    assert node.command("ZSCORE", keys.members, membership.worker) is None


async def _nothing(*_: object) -> None:
    pass
