"""Who owns which partition, by a real group: shares, routes, and nothing that breaks in silence."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from confluent_kafka import ConsumerGroupTopicPartitions

from app.engine.errors import MembershipLost, Refused
from app.settings import Settings
from app.transports import transport_for
from app.transports.kafka.lease import claim
from app.transports.kafka.membership import Membership
from app.transports.kafka.provision import ensure_topics
from tests.integration.kafka_kit import admin, create_topic, names, produce, settings_for, until
from tools.local_kafka import LocalKafka

pytestmark = pytest.mark.usefixtures("nothing_forgotten")


class Member:
    """A worker's place in the group, and what it was told."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.owned: set[int] | None = None
        self.revoked = 0
        self.fail = False
        self.membership = Membership(
            settings, settings.app_id, names(settings).orders, f"http://{name}", self._assigned, self._revoked
        )

    async def _assigned(self, partitions: set[int], generation: int) -> None:
        if self.fail:
            raise ZeroDivisionError("the engine has a fault")
        self.owned = partitions

    async def _revoked(self, partitions: set[int]) -> None:
        self.revoked += 1


@asynccontextmanager
async def joined(settings: Settings, name: str) -> AsyncIterator[Member]:
    """Join, and leave at the end."""
    member = Member(settings, name)
    await member.membership.start()
    try:
        yield member
    finally:
        await member.membership.stop()


@pytest.fixture
def settings(kafka: LocalKafka) -> Settings:
    """Settings whose orders topic has four partitions."""
    made = settings_for(kafka, partitions=4, app_id=f"group-{secrets.token_hex(3)}")
    create_topic(kafka, names(made).orders, 4)
    return made


async def until_shared(*members: Member, sizes: list[int]) -> None:
    """Wait until the shares have these sizes and make up all partitions."""

    def shared() -> bool:
        owned = [member.owned or set() for member in members]
        return sorted(map(len, owned)) == sizes and set().union(*owned) == {0, 1, 2, 3}

    await until(shared, what=f"shares of {sizes}")


async def test_offsets_are_copied_to_the_group_for_tools(kafka: LocalKafka, settings: Settings) -> None:
    """Any tool that shows a group's lag shows ours."""
    produce(kafka, names(settings).orders, [(b"k", b"v")] * 5, 1)
    async with joined(settings, "a") as member:
        await until_shared(member, sizes=[4])
        await member.membership.copy_offsets({1: 3, 9: 7})
        assert await member.membership.confirm(1)
    client = admin(kafka)
    asked = [ConsumerGroupTopicPartitions(settings.app_id)]
    (answer,) = client.list_consumer_group_offsets(asked).values()
    assert {found.partition: found.offset for found in answer.result(10).topic_partitions} == {1: 3}


async def test_a_group_that_breaks_for_good_is_reported(settings: Settings) -> None:
    """Its coordination task may die of anything; nothing else would ever tell."""
    async with joined(settings, "a") as member:
        await until_shared(member, sizes=[4])

        def broken(*_: object) -> None:
            raise ZeroDivisionError("a fault in the client")

        assert member.membership._consumer is not None
        coordinator = member.membership._consumer._coordinator
        coordinator._on_join_prepare = broken
        coordinator.request_rejoin()
        with pytest.raises(MembershipLost, match=f"group {settings.app_id} broke.*a fault in the client"):
            await asyncio.wait_for(member.membership.watch(), 10)
        member.membership._consumer._coordinator._closing.set_result(None)


async def test_a_session_time_out_that_is_not_allowed_is_refused(settings: Settings) -> None:
    """The setting is named, with the broker's own that bound it."""
    short = settings.model_copy(update={"session_timeout": 1.0})
    async with joined(short, "a") as member:
        with pytest.raises(Refused, match=r"ORDERS_SESSION_TIMEOUT=1; .*group\.min\.session\.timeout\.ms"):
            await asyncio.wait_for(member.membership.watch(), 10)


async def test_a_broker_that_is_just_starting_names_no_node_and_is_waited_for(
    kafka: LocalKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a member of the group, by a claim, and by who sends."""
    update = ClusterMetadata.update_metadata
    answers: dict[int, int] = {}

    def without_nodes_at_first(cluster: ClusterMetadata, metadata: Any) -> None:
        answers[id(cluster)] = answers.get(id(cluster), 0) + 1
        if answers[id(cluster)] <= 2:
            metadata.brokers = []
        update(cluster, metadata)

    monkeypatch.setattr(ClusterMetadata, "update_metadata", without_nodes_at_first)
    await ensure_topics(settings, names(settings))
    async with joined(settings, "a") as member:
        await until_shared(member, sizes=[4])
        lease = await claim(settings, names(settings), 0)
        await lease.release()
        async with transport_for(settings.broker).open_sender(settings) as sender:
            await sender.send(names(settings).orders, b"k", b"v")
            await sender.flush()
            assert sender.acknowledged == 1
    assert min(answers.values()) > 2
