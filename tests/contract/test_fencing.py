"""Whoever claims a partition fences out its former owner: of each step all counts, once, or nothing."""

import asyncio
import random
import time
from collections import Counter

import pytest

from app.engine.broker import Lease
from app.engine.errors import Fenced, Unknown
from app.engine.step import Output
from tests.contract.space import Space, loaded, numbered, table

ROUNDS = 40
MOST_ROUNDS = 400


def step(space: Space, name: str) -> tuple[list[tuple[str, list[tuple[str, bytes]]]], list[Output]]:
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
    """At any moment of it: the step is there, whole, for the new owner to load, or it never happened."""
    chance = random.Random(5)
    await space.send(*numbered(MOST_ROUNDS))
    commits: list[str] = []
    ends: Counter[str] = Counter()
    usual = 0.0
    lease = await space.claim()
    await loaded(lease)
    for number in range(MOST_ROUNDS):
        if number >= ROUNDS and min(ends[Fenced.__name__], ends["committed"]) >= 3:
            break
        offset = len(commits)
        begin = time.monotonic()
        commit = asyncio.create_task(lease.commit(offset + 1, *step(space, f"s{number}")))
        await asyncio.sleep(chance.uniform(0, usual))
        owner = await space.claim()
        rows = await loaded(owner)
        try:
            await commit
        except (Fenced, Unknown) as lost:
            end = type(lost).__name__
        else:
            end = "committed"
        ends[end] += 1
        happened = owner.next_offset == offset + 1
        assert owner.next_offset in (offset, offset + 1)
        assert happened or end != "committed", "it was told that its step is committed, and it is not"
        assert not happened or end != Fenced.__name__, "it was told that its step is void, and it counts"
        assert (("t", f"s{number}") in rows) == happened
        if happened:
            commits.append(f"s{number}")
        assert rows.get(("t", "last")) == (b'"%s"' % commits[-1].encode() if commits else None)
        await lease.release()
        lease = owner
        if number == 0:  # how long one takes undisturbed
            begin = time.monotonic()
            await lease.commit(len(commits), *step(space, "usual"))
            usual = 1.2 * (time.monotonic() - begin)
            commits.append("usual")
            await lease.commit(len(commits), table(last=b'"usual"'), [])
    await lease.release()
    assert min(ends[Fenced.__name__], ends["committed"]) >= 3, f"they hardly met: {ends}"
    values = [b'"%s"' % name.encode() for name in commits]
    for topic in (space.topics.order_updates, space.topics.dead_letters):
        assert await space.values(topic) == values
    assert (await space.state()).offset == len(commits)
