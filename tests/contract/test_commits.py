"""A step is committed whole or not at all, and a new owner finds exactly what was committed."""

import asyncio
import base64
import random

import pytest

from app.engine.errors import EngineError
from app.engine.step import EncodedRows, Output
from tests.contract.conftest import NewSpace
from tests.contract.space import Rows, Space, loaded, numbered, read_records, table
from tests.oracle_events import partition_of


async def test_a_partition_that_nobody_worked_on_is_empty(space: Space) -> None:
    """Its first owner begins at the first record."""
    lease = await space.claim()
    assert await loaded(lease) == {}
    assert lease.next_offset == 0
    assert lease.partition == 0
    await lease.release()
    assert await space.snapshot() == {}


async def test_rows_outputs_and_offset_move_together(new_space: NewSpace) -> None:
    """Nothing is to be seen before the commit, all of it afterwards, in all topics and partitions."""
    space = await new_space(partitions=3)
    topics = space.topics
    key = next(key for key in (b"k%d" % n for n in range(99)) if partition_of(key, 3) == 1)
    await space.send(*((key, b"%d" % number) for number in range(10)))
    begun = [
        Output(topics.order_updates, 1, b"u", b"first"),
        Output(topics.order_updates, 2, b"u", b"elsewhere"),
        Output(topics.dead_letters, 0, b"d", b"letter"),
    ]
    rest = [Output(topics.order_updates, 1, b"u", b"second"), Output(topics.orders, 0, b"o", b"forwarded")]
    rows: EncodedRows = [("t", [("a", b"1"), ("b", b"[2]")]), ("other", [("a", b"{}")])]
    async with space.holding(1) as lease:
        lease.write(begun)
        assert await space.values(topics.order_updates, 1) == []
        assert await space.snapshot(1) == {}
        await lease.commit(7, rows, rest)
        expected = {("t", "a"): b"1", ("t", "b"): b"[2]", ("other", "a"): b"{}"}
        assert (await space.state(1)).rows == expected
        assert await space.snapshot(1) == expected

    assert (await space.state(1)).offset == 7
    assert await space.values(topics.order_updates, 1) == [b"first", b"second"]
    assert await space.values(topics.order_updates, 2) == [b"elsewhere"]
    assert await space.values(topics.dead_letters, 0) == [b"letter"]
    assert await space.values(topics.orders, 0) == [b"forwarded"]
    assert (await space.state(0)).offset is None
    assert await space.snapshot(0) == {}
    async with space.holding(1) as lease:
        assert lease.next_offset == 7
        assert [record.value for record in await read_records(lease, 3)] == [b"7", b"8", b"9"]


async def test_a_step_may_consist_of_little(space: Space) -> None:
    """Only an offset, only rows, only outputs: each is a step."""
    await space.send(*numbered(9))
    async with space.holding() as lease:
        await lease.commit(1, [], [])
        assert (await space.state()).offset == 1
        await lease.commit(2, table(a=b"1"), [])
        await lease.commit(3, [("empty", [])], [Output(space.topics.order_updates, 0, b"u", b"1")])
        lease.write([Output(space.topics.order_updates, 0, b"u", b"2")])
        await lease.commit(3, table(a=b"2"), [])
    assert await space.state() == ({("t", "a"): b"2"}, 3)
    assert await space.values(space.topics.order_updates) == [b"1", b"2"]


async def test_a_deleted_row_is_gone(space: Space) -> None:
    """For whoever reads the state and for the next owner; it can be written again, and others are left alone."""
    async with space.holding() as lease:
        await lease.commit(0, [("t", [("a", b"1"), ("b", b"2"), ("c", b"3")]), ("u", [("a", b"4")])], [])
        many = [(f"k{number}", None) for number in range(2_500)]
        await lease.commit(0, [("t", [("a", None), ("b", b"5"), *many]), ("never", [("was", None)])], [])
        assert await space.snapshot() == {("t", "b"): b"5", ("t", "c"): b"3", ("u", "a"): b"4"}
        await lease.commit(0, [("t", [("a", b"6"), ("c", None)])], [])
    expected = {("t", "a"): b"6", ("t", "b"): b"5", ("u", "a"): b"4"}
    assert (await space.state()).rows == expected
    lease = await space.claim()
    assert await loaded(lease) == expected
    await lease.release()


async def test_outputs_that_were_never_committed_are_gone(space: Space) -> None:
    """Those of the step under way when the lease went."""
    async with space.holding() as lease:
        lease.write([Output(space.topics.order_updates, 0, b"u", b"lost")])
    async with space.holding() as lease:
        await lease.commit(0, [], [Output(space.topics.order_updates, 0, b"u", b"kept")])
    assert await space.values(space.topics.order_updates) == [b"kept"]


ODD_KEYS = ["", "/", "a/b/c", "käse 漢 😀", "\x00", " ", "offset", "%2F", "k" * 1_000]


async def test_keys_and_rows_of_any_kind_are_kept_apart(space: Space) -> None:
    """Keys are ids of shops: there is nothing that they do not hold."""
    expected: Rows = {}
    async with space.holding() as lease:
        for offset, name in enumerate(["t", "orders", "offset"]):
            rows = [(key, b"%d:" % offset + key.encode()) for key in ODD_KEYS]
            await lease.commit(0, [(name, rows)], [])
            expected |= {(name, key): value for key, value in rows}
        await lease.commit(0, [("t", [("bytes", bytes(range(256)))])], [])
        expected["t", "bytes"] = bytes(range(256))
    lease = await space.claim()
    assert await loaded(lease) == expected
    await lease.release()
    assert await space.snapshot() == expected


async def test_a_new_owner_loads_exactly_what_was_committed(space: Space) -> None:
    """Some 20,000 rows of three tables, many of them overwritten again and again."""
    chance = random.Random(4)
    expected: Rows = {}
    async with space.holding() as lease:
        for offset in range(1, 41):
            step: dict[tuple[str, str], bytes] = {}
            for _ in range(1_200):
                name = chance.choice(["orders", "customers", "revenue"])
                key = f"k{chance.randrange(10_000 if chance.random() < 0.8 else 20)}"
                step[name, key] = b'{"at":%d,"x":"%s"}' % (
                    offset,
                    chance.randbytes(chance.randrange(30)).hex().encode(),
                )
            rows = [
                (name, [(k, v) for (n, k), v in step.items() if n == name])
                for name in ("revenue", "orders", "customers")
            ]
            await lease.commit(0, rows, [])
            expected |= step
    assert len(expected) > 18_000
    lease = await space.claim()
    done, total, chunks = 0, 0, 0
    rows_found: Rows = {}
    async for chunk in lease.load():
        for name, key, value in chunk.rows:
            assert value is not None
            rows_found[name, key] = bytes(value)
        assert done <= chunk.done
        done, total, chunks = chunk.done, chunk.total, chunks + 1
    assert rows_found == expected
    assert done == total
    assert chunks > 1
    await lease.release()
    assert await space.snapshot() == expected


async def test_a_large_step_is_one_step(space: Space) -> None:
    """Thousands of rows and outputs of 20 MB together."""
    rows = [(f"k{n}", b'"%d%s"' % (n, b"." * 2_000)) for n in range(6_000)]
    outputs = [Output(space.topics.order_updates, 0, b"c%d" % n, b"%d" % n + b"." * 1_500) for n in range(6_000)]
    async with space.holding() as lease:
        for begin in range(0, 5_000, 250):
            lease.write(outputs[begin : begin + 250])
        await lease.commit(0, [("t", rows)], outputs[5_000:])
    assert (await space.state()).rows == {("t", key): value for key, value in rows}
    assert await space.values(space.topics.order_updates) == [output.value for output in outputs]


async def test_owners_in_turn_find_each_others_last_step(space: Space) -> None:
    """Thirty claims, one after the other, each of which lets the next one commit a single step."""
    await space.send(*numbered(30))
    former = await space.claim()
    await loaded(former)
    for number in range(1, 31):
        await read_records(former, 1, 1)
        await former.commit(
            number, table(a=b"%d" % number), [Output(space.topics.order_updates, 0, b"u", b"%d" % number)]
        )
        owner = await space.claim()
        assert await loaded(owner) == {("t", "a"): b"%d" % number}
        assert owner.next_offset == number
        await former.release()
        former = owner
    await former.release()
    assert await space.values(space.topics.order_updates) == [b"%d" % number for number in range(1, 31)]


async def test_reading_the_state_disturbs_nobody(space: Space) -> None:
    """Commands look at it while an owner is at work: they see whole steps, and the owner does not notice."""
    await space.send(*numbered(40))
    async with space.holding() as lease:

        async def look() -> None:
            for _ in range(8):
                rows = await space.snapshot()
                assert len(set(rows.values())) <= 1, "half of a step"

        looking = asyncio.create_task(look())
        for number in range(1, 41):
            await lease.commit(number, [(name, [("a", b"%d" % number)]) for name in ("t", "u", "v")], [])
        await looking
    assert (await space.state()).offset == 40


async def test_a_lease_that_was_released_is_of_no_use(space: Space) -> None:
    """It says so and writes nothing; to release it again does no harm."""
    await space.send(*numbered(3))
    lease = await space.claim()
    await loaded(lease)
    await lease.commit(1, table(a=b"1"), [])
    await lease.release()
    await lease.release()
    async with asyncio.timeout(5):
        with pytest.raises(EngineError):
            await lease.commit(2, table(a=b"2"), [Output(space.topics.order_updates, 0, b"u", b"late")])
    await lease.release()
    assert await space.state() == ({("t", "a"): b"1"}, 1)
    assert await space.values(space.topics.order_updates) == []
    async with space.holding() as lease:
        assert lease.next_offset == 1


async def test_a_lease_can_be_released_at_any_point(space: Space) -> None:
    """Before the load, within it, and with a read under way: nobody is disturbed by it afterwards."""
    async with space.holding() as lease:
        await lease.commit(0, [("t", [(f"k{n}", b"1") for n in range(5_000)])], [])
    unused = await space.claim()
    await unused.release()
    broken_off = await space.claim()
    async for _ in broken_off.load():
        break
    await broken_off.release()
    reading = await space.claim()
    await loaded(reading)
    read = asyncio.create_task(reading.read(10))
    await asyncio.sleep(0)
    await reading.release()
    read.cancel()
    await asyncio.gather(read, return_exceptions=True)
    async with space.holding() as lease:
        await lease.commit(0, table(a=b"1"), [])


async def test_the_row_of_the_largest_letter_is_committed(space: Space) -> None:
    """A record of 16 MB that nothing makes smaller, and a mended one of 12 MB beside it, as text."""
    row = b'"%s"' % base64.b64encode(random.Random(1).randbytes(28 << 20))
    async with space.holding() as lease:
        await lease.commit(0, [("t", [("a", b"1"), ("large", row), ("z", b"2")])], [])
    rows, offset = await space.state()
    assert offset == 0
    assert set(rows) == {("t", "a"), ("t", "large"), ("t", "z")}
    assert rows["t", "large"] == row
    async with space.holding() as lease:
        await lease.commit(0, [("t", [("large", None)])], [])
    assert await space.state() == ({("t", "a"): b"1", ("t", "z"): b"2"}, 0)
