"""Who owns which partition: even shares, known to everybody, and nobody's for no longer than the session time-out."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from app.engine.errors import MembershipLost
from app.settings import Settings
from tests.contract.conftest import NewSpace
from tests.contract.member import Member, MemberProcess, joined, joined_elsewhere
from tests.contract.space import until

PARTITIONS = {0, 1, 2, 3}
SOON = 20.0
"""Seconds in which shares follow a member that comes, or goes with a good-bye."""


@pytest.fixture
async def settings(new_space: NewSpace) -> Settings:
    """A group over four partitions."""
    return (await new_space(partitions=4)).settings


async def until_shared(members: Sequence[Member | MemberProcess], sizes: list[int], seconds: float = SOON) -> None:
    """Wait until the shares have these sizes and make up all partitions, and each member here knows everybody's."""

    def shared() -> bool:
        owned = {member.url: member.owned or set() for member in members}
        told = {url: partitions for url, partitions in owned.items() if partitions}
        return (
            sorted(map(len, owned.values())) == sizes
            and set().union(*owned.values()) == PARTITIONS
            and all(member.routes() == told for member in members if isinstance(member, Member))
        )

    await until(shared, seconds, f"shares of {sizes}")


async def test_partitions_are_shared_as_workers_come_and_go(settings: Settings) -> None:
    """Four over one, two, three, two and one again; everybody knows who owns what, and keeps what it can."""
    async with joined(settings, "a") as first:
        await until_shared([first], [4])
        async with joined(settings, "b") as second:
            await until_shared([first, second], [2, 2])
            kept = first.owned or set()
            async with joined(settings, "c") as third:
                await until_shared([first, second, third], [1, 1, 2])
                assert (first.owned or set()) <= kept
            await until_shared([first, second], [2, 2])
            assert kept & (first.owned or set()), "it lost everything that it had"
        await until_shared([first], [4])
        assert first.generations == sorted(set(first.generations))
        assert first.revoked > 0


async def test_more_workers_than_partitions_are_no_harm(settings: Settings) -> None:
    """Who has none stands by, knows the routes, and takes over when another goes."""
    async with joined(settings, "a") as a, joined(settings, "b") as b, joined(settings, "c") as c:
        async with joined(settings, "d") as d, joined(settings, "e") as e:
            await until_shared([a, b, c, d, e], [0, 1, 1, 1, 1])
        await until_shared([a, b, c], [1, 1, 2])


async def test_applications_of_one_topic_do_not_share(settings: Settings) -> None:
    """Each group has all partitions."""
    other = settings.model_copy(update={"app_id": f"{settings.app_id}-2"})
    async with joined(settings, "a") as first, joined(other, "b") as second:
        await until_shared([first], [4])
        await until_shared([second], [4])


async def test_the_group_confirms_what_a_worker_owns_and_nothing_else(settings: Settings) -> None:
    """A worker that was fenced asks before it claims again."""
    async with joined(settings, "a") as first:
        await until_shared([first], [4])
        assert await first.membership.confirm(2)
        async with joined(settings, "b") as second:
            await until_shared([first, second], [2, 2])
            for owner, stranger in ((first, second), (second, first)):
                for partition in owner.owned or set():
                    assert await owner.membership.confirm(partition)
                    assert not await stranger.membership.confirm(partition)


async def test_a_member_that_died_is_replaced_after_the_session_time_out(settings: Settings) -> None:
    """It got SIGKILL, so nobody said good-bye; nobody loses a partition for it."""
    async with joined(settings, "a") as first:
        await until_shared([first], [4])
        with joined_elsewhere(settings, "b") as second:
            await until_shared([first, second], [2, 2], 20)
            kept = first.owned or set()
            second.kill()
            begin = time.monotonic()
            await until_shared([first], [4], settings.session_timeout + SOON)
            assert time.monotonic() - begin > settings.session_timeout / 3, "it was not given its time"
            assert kept <= (first.owned or set())


async def test_a_member_that_was_paused_has_lost_its_partitions_and_comes_back(settings: Settings) -> None:
    """It thinks that no time has passed: the group tells it otherwise, and gives it a share again."""
    async with joined(settings, "a") as first:
        await until_shared([first], [4])
        with joined_elsewhere(settings, "b") as second:
            await until_shared([first, second], [2, 2], 20)
            second.pause()
            await until_shared([first], [4], settings.session_timeout + SOON)
            second.resume()
            await until_shared([first, second], [2, 2], 20)


async def test_a_member_that_is_well_is_watched_in_silence(settings: Settings) -> None:
    """Watching raises nothing, tells nothing twice, and ends when the member leaves."""
    member = Member(settings, "a")
    await member.membership.start()
    watch = asyncio.create_task(member.membership.watch())
    await until_shared([member], [4])
    told = len(member.generations)
    await asyncio.wait({watch}, timeout=1.5)
    assert not watch.done()
    assert len(member.generations) == told
    await member.membership.stop()
    await asyncio.wait_for(watch, 5)
    await member.membership.stop()


async def test_a_fault_while_a_share_is_taken_is_not_swallowed(settings: Settings) -> None:
    """Else partitions would be left with nobody at work on them."""
    async with joined(settings, "a", watch=False) as member:
        member.fail = True
        with pytest.raises(MembershipLost, match="the engine has a fault"):
            await asyncio.wait_for(member.membership.watch(), 10)
