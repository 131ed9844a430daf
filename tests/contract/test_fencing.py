"""Whoever claims a partition fences out its former owner: of each step all counts, once, or nothing."""

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress

import pytest

from app.engine.broker import Lease
from app.engine.errors import Fenced, Unknown
from app.engine.step import EncodedRows, Output
from tests.contract.space import Space, loaded, numbered, table

ROUNDS = 40
MOST_ROUNDS = 400


def step(space: Space, name: str) -> tuple[EncodedRows, list[Output]]:
    """Return rows and outputs by which a step of this name can be told."""
    value = b'"%s"' % name.encode()
    outputs = [
        Output(space.topics.order_updates, 0, b"c", value),
        Output(space.topics.dead_letters, 0, b"c", value),
    ]
    return table(last=value, **{name: b"1"}), outputs


async def test_a_claim_fences_the_former_owner(space: Space) -> None:
    """What it does next is refused, and nobody ever sees any of it."""
    await space.send(*numbered(4))
    former = await space.claim()
    await loaded(former)
    await former.commit(1, *step(space, "before"))
    former.write([Output(space.topics.order_updates, 0, b"c", b"begun")])
    owner = await space.claim()
    with pytest.raises(Fenced):
        await former.commit(2, *step(space, "former"))
    await loaded(owner)
    assert owner.next_offset == 1
    await owner.commit(2, *step(space, "owner"))
    await former.release()
    await owner.release()
    assert await space.state() == ({("t", "last"): b'"owner"', ("t", "before"): b"1", ("t", "owner"): b"1"}, 2)
    for topic in (space.topics.order_updates, space.topics.dead_letters):
        assert await space.values(topic) == [b'"before"', b'"owner"']


async def test_a_former_owner_that_read_all_along_is_fenced(space: Space) -> None:
    """Whatever it has read, and however much later it commits; its release takes nothing from the owner."""
    await space.send(*numbered(4))
    former = await space.claim()
    await loaded(former)
    owner = await space.claim()
    await loaded(owner)
    await owner.commit(1, *step(space, "owner"))
    await former.read(4)
    with pytest.raises(Fenced):
        await former.commit(4, *step(space, "former"))
    await former.release()
    await owner.commit(2, *step(space, "owner"))
    await owner.release()
    assert (await space.state()).offset == 2
    assert await space.values(space.topics.order_updates) == [b'"owner"'] * 2


async def test_a_state_is_read_whole_or_not_at_all(space: Space) -> None:
    """Somebody claims a partition while its state is being read, and changes all of it: never half of each is taken."""
    names = [f"r{number}" for number in range(6_000)]  # more than is asked for ahead, on every broker
    before, after = b"1" * 3_000, b"2"  # of which all comes with the last of what was before
    async with space.holding() as first:
        await space.send(*numbered(2))
        await first.commit(1, table(**dict.fromkeys(names, before)), [])
    late = await space.claim()
    rows: dict[str, bytes | None] = {}
    with suppress(Fenced):
        async for chunk in late.load():
            if not rows:
                async with space.holding() as owner:
                    await owner.commit(2, table(**dict.fromkeys(names, after)), [])
            rows.update((key, value) for _, key, value in chunk.rows)
        assert Counter(rows.values()) == {before: len(names)}
    await late.release()


async def test_a_process_fences_its_own_former_claim(space: Space) -> None:
    """As a lane that claims again after an unknown outcome: also of the same member of the group."""
    broker = space.broker()
    former = await broker.claim(0)
    await loaded(former)
    owner = await broker.claim(0)
    await loaded(owner)
    with pytest.raises(Fenced):
        await former.commit(0, *step(space, "former"))
    await owner.commit(0, *step(space, "owner"))
    await former.release()
    await owner.commit(0, *step(space, "again"))
    await owner.release()
    assert await space.values(space.topics.order_updates) == [b'"owner"', b'"again"']


async def test_only_the_last_of_many_claims_counts(space: Space) -> None:
    """Five at the same moment: exactly one of them may commit."""
    leases = await asyncio.gather(*(space.claim() for _ in range(5)))

    async def commit(lease: Lease, name: str) -> int:
        try:
            await loaded(lease)
            await lease.commit(0, *step(space, name))
        except Fenced:
            return 0
        return 1

    outcomes = await asyncio.gather(*(commit(lease, f"o{number}") for number, lease in enumerate(leases)))
    assert sum(outcomes) == 1
    assert len(await space.values(space.topics.order_updates)) == 1
    for lease in leases:
        await lease.release()


async def test_a_claim_meets_a_commit_in_flight(space: Space) -> None:
    """At any moment of both: the step is there, whole, for the new owner to load, or it never happened."""
    chance = random.Random(5)
    await space.send(*numbered(MOST_ROUNDS + 1))
    committed: list[str] = []
    ends: Counter[str] = Counter()
    last_claim = last_commit = 0.0  # seconds; a busy machine takes its time
    async with AsyncExitStack() as leases:

        async def claim(after: float = 0) -> Lease:
            nonlocal last_claim
            await asyncio.sleep(after)
            begin = time.monotonic()
            lease = await space.claim()
            last_claim = time.monotonic() - begin
            leases.push_async_callback(lease.release)
            return lease

        async def commit(lease: Lease, name: str, after: float = 0) -> str:
            nonlocal last_commit
            await asyncio.sleep(after)
            begin = time.monotonic()
            try:
                await lease.commit(len(committed) + 1, *step(space, name))
            except (Fenced, Unknown) as lost:
                return type(lost).__name__
            last_commit = time.monotonic() - begin
            return "committed"

        lease = await claim()
        await loaded(lease)
        assert await commit(lease, "first") == "committed"
        committed.append("first")
        for number in range(MOST_ROUNDS):
            if number >= ROUNDS and min(ends["Fenced"], ends["committed"]) >= 5:
                break
            name = f"s{number}"
            end, owner = await asyncio.gather(
                commit(lease, name, chance.uniform(0, 1.5 * last_claim)), claim(chance.uniform(0, last_commit))
            )
            rows = await loaded(owner)
            happened = owner.next_offset == len(committed) + 1
            assert happened or owner.next_offset == len(committed)
            assert happened or end != "committed", "it was told that its step is committed, and it is not"
            assert not happened or end != "Fenced", "it was told that its step is void, and it counts"
            assert (("t", name) in rows) == happened
            if happened:
                committed.append(name)
            assert rows["t", "last"] == b'"%s"' % committed[-1].encode()
            ends[end] += 1
            await lease.release()
            lease = owner
    assert min(ends["Fenced"], ends["committed"]) >= 5, f"they hardly met: {ends}"
    values = [b'"%s"' % name.encode() for name in committed]
    for topic in (space.topics.order_updates, space.topics.dead_letters):
        assert await space.values(topic) == values
    assert (await space.state()).offset == len(committed)
