"""The topics at start: made as they must be, or checked, with an error that says what to do."""

import asyncio
import secrets

import pytest

from app.engine.errors import Inconsistent, Refused
from app.settings import Settings
from app.transports.kafka.lease import claim
from app.transports.kafka.provision import ensure_topics, wait_for_kafka
from tests.integration.kafka_kit import (
    admin,
    committed,
    config_of,
    create_topic,
    holding,
    loaded,
    names,
    numbered,
    produce,
    provisioned,
    settings_for,
    written,
)
from tests.integration.secured_kafka import SecuredKafka
from tools.local_kafka import LocalKafka

pytestmark = pytest.mark.usefixtures("nothing_forgotten")


def partitions_of(broker: LocalKafka, topic: str) -> int:
    """Return the partition count of a topic."""
    return len(admin(broker).list_topics(topic, timeout=10).topics[topic].partitions)


async def test_missing_topics_are_made_as_they_must_be(kafka: LocalKafka) -> None:
    """Every topic has as many partitions as the setting says and takes all that may come; the state is compacted."""
    settings, topics = await provisioned(kafka, partitions=3)
    assert {topic: partitions_of(kafka, topic) for topic in topics} == dict.fromkeys(topics, 3)
    configs = {topic: config_of(kafka, topic) for topic in topics}
    assert configs[topics.state]["cleanup.policy"] == "compact"
    assert configs[topics.dead_letters]["retention.ms"] == "-1"
    assert configs[topics.orders]["cleanup.policy"] == configs[topics.dead_letters]["cleanup.policy"] == "delete"
    assert {topic for topic in topics if configs[topic]["message.timestamp.type"] == "CreateTime"} == {topics.orders}
    largest = int(configs[topics.orders]["max.message.bytes"])
    assert largest >= 16 << 20
    assert int(configs[topics.dead_letters]["max.message.bytes"]) > largest, "a dead letter is larger than its record"
    assert all(int(config["max.message.bytes"]) >= largest for config in configs.values())
    assert settings.partitions == 3


async def test_a_second_start_changes_nothing(kafka: LocalKafka) -> None:
    """Topics that are there are left as they are, also where an administrator has changed them."""
    settings = settings_for(kafka)
    topics = names(settings)
    create_topic(kafka, topics.orders, retention_ms="1234567")
    await ensure_topics(settings, topics)
    before = {topic: config_of(kafka, topic) for topic in topics}
    await ensure_topics(settings, topics)
    assert {topic: config_of(kafka, topic) for topic in topics} == before
    assert before[topics.orders]["retention.ms"] == "1234567"


async def test_workers_that_start_together_make_the_topics_once(kafka: LocalKafka) -> None:
    """Whoever comes second finds them there, and all of them go on."""
    for _ in range(3):
        settings = settings_for(kafka, partitions=2)
        topics = names(settings)
        await asyncio.gather(*(ensure_topics(settings, topics) for _ in range(5)))
        assert {partitions_of(kafka, topic) for topic in topics} == {2}


async def test_workers_that_start_together_and_disagree_are_told(kafka: LocalKafka) -> None:
    """Of two that ask for different counts at the same time, one is refused, whoever made the topics."""
    for _ in range(3):
        settings = settings_for(kafka, partitions=2)
        topics = names(settings)
        other = settings.model_copy(update={"partitions": 3})
        answers = await asyncio.gather(
            ensure_topics(settings, topics), ensure_topics(other, topics), return_exceptions=True
        )
        refused = [answer for answer in answers if answer is not None]
        assert refused, f"both were told that all is well, with {partitions_of(kafka, topics.orders)} partitions"
        assert all(isinstance(answer, Inconsistent) for answer in refused), refused


@pytest.mark.parametrize("which", ["orders", "order_updates", "dead_letters", "state"])
async def test_another_partition_count_is_refused(kafka: LocalKafka, which: str) -> None:
    """The error names the topic, both counts and the setting that would fit."""
    settings = settings_for(kafka, partitions=4)
    topics = names(settings)
    topic = getattr(topics, which)
    create_topic(kafka, topic, 3, cleanup_policy="compact")
    with pytest.raises(Inconsistent, match=rf"{topic} has 3 partitions.*ORDERS_PARTITIONS is 4.*ORDERS_PARTITIONS=3"):
        await ensure_topics(settings, topics)


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
async def test_a_state_topic_that_forgets_is_refused(kafka: LocalKafka, policy: str) -> None:
    """Retention would delete rows silently."""
    settings = settings_for(kafka)
    topics = names(settings)
    create_topic(kafka, topics.state, cleanup_policy=policy)
    with pytest.raises(Inconsistent, match=rf"{topics.state} has cleanup.policy={policy}.*compact"):
        await ensure_topics(settings, topics)


async def test_more_replicas_than_brokers_are_refused(kafka: LocalKafka) -> None:
    """The broker's reason is told, and the topic."""
    settings = settings_for(kafka, kafka_replication=3)
    with pytest.raises(Refused, match=rf"{names(settings).orders} cannot be created.*[Rr]eplication"):
        await ensure_topics(settings, names(settings))


async def test_an_invalid_name_is_refused(kafka: LocalKafka) -> None:
    """A prefix can be fine by itself and still make a name that Kafka does not take (at most 249 characters)."""
    settings = settings_for(kafka, topic_prefix="p" * 100, app_id="a" * 100)
    await ensure_topics(settings, names(settings))
    longer = Settings.model_construct(**(settings.model_dump() | {"topic_prefix": "p" * 250}))
    with pytest.raises(Refused, match="cannot be created"):
        await ensure_topics(longer, names(longer))


async def test_topics_that_may_not_be_made_are_named(secured: SecuredKafka) -> None:
    """Without the right to make topics the error names one that is missing."""
    user = secured.new_user()
    user.grant()
    settings = Settings(**user.settings())
    told = ""
    async with asyncio.timeout(10):
        while "create" not in told:  # until the broker has heard of the rights to see them
            with pytest.raises(Refused) as refused:
                await ensure_topics(settings, names(settings))
            told = str(refused.value)
    assert any(topic in told for topic in user.topics)


async def test_a_worker_comes_up_on_topics_that_others_made(kafka: LocalKafka) -> None:
    """Topics with the broker's defaults, as an administrator may make them, will do while records are not too large."""
    settings = settings_for(kafka)
    topics = names(settings)
    for topic in (topics.orders, topics.order_updates, topics.dead_letters):
        create_topic(kafka, topic)
    create_topic(kafka, topics.state, cleanup_policy="compact")
    await wait_for_kafka(settings)
    await ensure_topics(settings, topics)
    produce(kafka, topics.orders, numbered(3))
    async with holding(settings) as lease:
        await lease.commit(3, [("t", [("a", b"1")])], [])


async def test_an_application_of_another_name_shares_nothing_but_the_orders(kafka: LocalKafka) -> None:
    """Two applications on the same orders have states of their own and do not fence each other."""
    settings, topics = await provisioned(kafka)
    other = settings.model_copy(update={"app_id": f"other-{secrets.token_hex(3)}"})
    await ensure_topics(other, names(other))
    assert names(other).orders == topics.orders
    produce(kafka, topics.orders, numbered(2))
    ours, theirs = await claim(settings, topics, 0), await claim(other, names(other), 0)
    await loaded(ours)
    await loaded(theirs)
    await ours.commit(1, [("t", [("a", b"1")])], [])
    await theirs.commit(2, [("t", [("a", b"2")])], [])
    await ours.commit(2, [("t", [("a", b"3")])], [])
    await ours.release()
    await theirs.release()
    assert [record.value for record in committed(kafka, topics.state) if record.key == b"t/a"] == [b"1", b"3"]
    assert [record.value for record in written(kafka, names(other).state) if record.key == b"t/a"] == [b"2"]
