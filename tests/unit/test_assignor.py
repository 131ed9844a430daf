"""How partitions are shared over workers: evenly, all of them, and with as few moves as can be."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from aiokafka.coordinator.protocol import (
    ConsumerProtocol,
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from hypothesis import given
from hypothesis import strategies as st

from app.transports.kafka.assignor import StickyAssignor
from app.transports.sharing import share

MEMBERS = st.sampled_from([f"member-{letter}" for letter in "abcdefg"])
OWNED = st.dictionaries(MEMBERS, st.sets(st.integers(0, 14), max_size=15), min_size=1, max_size=7)
COUNTS = st.integers(0, 12)


def held(shares: Mapping[str, Iterable[int]]) -> dict[int, str]:
    """Return who holds each partition."""
    return {partition: member for member, partitions in shares.items() for partition in partitions}


@given(COUNTS, OWNED)
def test_every_partition_has_one_owner(count: int, owned: dict[str, set[int]]) -> None:
    """None is left out, none given twice, none made up; and every member is told its share, if only an empty one."""
    shares = share(range(count), owned)
    assert Counter(partition for partitions in shares.values() for partition in partitions) == Counter(range(count))
    assert shares.keys() == owned.keys()
    assert all(partitions == sorted(partitions) for partitions in shares.values())


@given(COUNTS, OWNED)
def test_shares_differ_by_one_at_most(count: int, owned: dict[str, set[int]]) -> None:
    """Nobody is left without while another has two."""
    sizes = [len(partitions) for partitions in share(range(count), owned).values()]
    assert max(sizes) - min(sizes) <= 1


@given(COUNTS, OWNED)
def test_no_more_partitions_move_than_evenness_asks_for(count: int, owned: dict[str, set[int]]) -> None:
    """Of what each has for itself it keeps as much as its share allows, larger shares going to those who have most."""
    first_claims = {member: set[int]() for member in owned}
    taken: set[int] = set()
    for member in sorted(owned):
        first_claims[member] = owned[member] & set(range(count)) - taken
        taken |= first_claims[member]
    low, extra = divmod(count, len(owned))
    most = sorted((len(claims) for claims in first_claims.values()), reverse=True)
    could_stay = sum(min(size, low + (at < extra)) for at, size in enumerate(most))
    shares = share(range(count), owned)
    stayed = sum(len(first_claims[member] & set(partitions)) for member, partitions in shares.items())
    assert stayed == could_stay


@given(COUNTS, OWNED)
def test_a_share_that_is_even_stays(count: int, owned: dict[str, set[int]]) -> None:
    """Sharing again changes nothing: a rebalance for nothing moves nothing."""
    shares = share(range(count), owned)
    assert share(range(count), shares) == shares


@given(COUNTS, st.lists(st.tuples(st.booleans(), MEMBERS), max_size=20))
def test_over_joins_and_leaves_only_what_must_moves(count: int, changes: list[tuple[bool, str]]) -> None:
    """Who leaves gives all, who joins gets only what others have too much of; the rest stay put."""
    shares: dict[str, list[int]] = {"member-0": list(range(count))}
    for joins, member in changes:
        before = held(shares)
        if joins:
            left = shares | {member: shares.get(member, [])}
        else:
            left = {name: owned for name, owned in shares.items() if name != member} or {"member-0": []}
        shares = share(range(count), left)
        after = held(shares)
        moved = [
            partition for partition in before if before[partition] in left and after[partition] != before[partition]
        ]
        limit = -(-count // len(left))
        too_much = sum(max(0, len(owned) - limit) for owned in left.values())
        newcomers = [name for name, owned in left.items() if not owned]
        assert len(moved) <= too_much + len(newcomers) * limit
        if not joins:
            assert moved == []


@pytest.mark.parametrize(
    ("members", "sizes"), [(1, [4]), (2, [2, 2]), (3, [2, 1, 1]), (4, [1] * 4), (5, [1] * 4 + [0])]
)
def test_four_partitions(members: int, sizes: list[int]) -> None:
    """As it reads in the README: 4 over 3 workers are 2, 1, 1, and nobody is left without while one has two."""
    shares = share(range(4), {f"m{number}": [] for number in range(members)})
    assert sorted(map(len, shares.values()), reverse=True) == sizes


def test_two_that_claim_the_same_do_not_both_get_it() -> None:
    """A worker that was away may still think it owns what has gone to another."""
    assert share(range(2), {"a": [0, 1], "b": [0, 1]}) == {"a": [0], "b": [1]}


# --- the assignor as the group's protocol has it ----------------------------------------------------------------------


class Cluster:
    """As much of aiokafka's as is asked."""

    def __init__(self, count: int | None) -> None:
        self._count = count

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Return the partitions of `orders`, None while nothing is known."""
        assert topic == "orders"
        return None if self._count is None else set(range(self._count))


def over_the_wire(metadata: Any) -> Any:
    """Return the metadata as the leader gets it."""
    return ConsumerProtocol.METADATA.decode(metadata.encode())


def assigned(cluster: Cluster, assignors: Mapping[str, StickyAssignor]) -> dict[str, list[int]]:
    """Run a rebalance over these workers; returns who got what, once each has taken its answer in."""
    told: dict[str, ConsumerProtocolMemberMetadata] = {
        member: over_the_wire(assignor.metadata(["orders"])) for member, assignor in assignors.items()
    }
    leader = next(iter(assignors.values()))
    shares = {}
    for member, answer in leader.assign(cluster, told).items():
        received = ConsumerProtocol.ASSIGNMENT.decode(answer.encode())
        assignors[member].on_assignment(received)
        shares[member] = [partition.partition for partition in received.partitions()]
        assignors[member].owned = frozenset(shares[member])
    return shares


def test_every_worker_learns_who_owns_what_and_where() -> None:
    """So that any of them can send a reader on."""
    workers = {name: StickyAssignor("orders", f"http://{name}:6066") for name in ("a", "b", "c")}
    shares = assigned(Cluster(4), workers)
    routes = {partition: f"http://{member}:6066" for partition, member in held(shares).items()}
    assert len(routes) == 4
    assert all(worker.routes == routes for worker in workers.values())


def test_every_worker_learns_of_those_that_own_nothing() -> None:
    """With more workers than partitions; from a leader of an older version, of owners only."""
    workers = {name: StickyAssignor("orders", f"http://{name}:6066") for name in ("a", "b", "c")}
    shares = assigned(Cluster(2), workers)
    assert sorted(map(len, shares.values())) == [0, 1, 1]
    assert all(worker.workers == ["http://a:6066", "http://b:6066", "http://c:6066"] for worker in workers.values())
    workers["a"].on_assignment(ConsumerProtocolMemberAssignment(0, [], b'{"routes":{"0":"http://b:6066"}}'))
    assert workers["a"].workers == ["http://b:6066"]


def test_what_workers_own_is_told_with_the_next_rebalance() -> None:
    """A third worker takes one partition of each at most; when it goes, the others keep what they have."""
    workers = {name: StickyAssignor("orders", f"http://{name}") for name in ("x", "y")}
    before = assigned(Cluster(4), workers)
    workers["a"] = StickyAssignor("orders", "http://a")
    joined = assigned(Cluster(4), workers)
    assert sorted(map(len, joined.values())) == [1, 1, 2]
    assert all(set(joined[member]) < set(before[member]) or joined[member] == before[member] for member in ("x", "y"))
    del workers["a"]
    after = assigned(Cluster(4), workers)
    assert all(set(joined[member]) <= set(after[member]) for member in ("x", "y"))


def test_a_topic_that_is_not_known_yet_gives_nobody_anything() -> None:
    """The group shares again once the topic is known."""
    workers = {"a": StickyAssignor("orders", "http://a")}
    assert assigned(Cluster(None), workers) == {"a": []}
    assert workers["a"].routes == {}
