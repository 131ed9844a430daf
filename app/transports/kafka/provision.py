"""Makes the topics at start, or checks those that exist, so that every later step can rely on them."""

import asyncio
import logging
from typing import Any

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.metadata import MetadataRequest

from app.engine.errors import Inconsistent, Refused, Unavailable
from app.settings import Settings
from app.topics import Topics
from app.transports.kafka.connection import bootstrap_servers, new_admin, translated
from app.transports.kafka.knock import knock

log = logging.getLogger(__name__)

START_SECONDS = 10.0
"""How long an unreachable broker is tried before a command gives up."""

RECORD_BYTES = 16 << 20
"""Largest record taken in; larger than the largest value that is still an event, so that a monster is a dead letter."""

BROKERS_TIME = {"message.timestamp.type": "LogAppendTime"}
"""The broker says when a record was written: it would refuse those of a worker whose clock is an hour ahead of it."""

USUAL_REPLICAS = 3

LETTER_BYTES = 2 * RECORD_BYTES
"""A record that came compressed may be packed less well by us, and its letter's row may hold a mended one beside it."""


def wanted_configs(topics: Topics) -> dict[str, dict[str, str]]:
    """Return each topic's configuration as we create it."""
    return {
        topics.orders: {"max.message.bytes": str(RECORD_BYTES)},
        topics.order_updates: {"max.message.bytes": str(RECORD_BYTES), **BROKERS_TIME},
        topics.dead_letters: {"max.message.bytes": str(LETTER_BYTES), "retention.ms": "-1", **BROKERS_TIME},
        topics.state: {
            **BROKERS_TIME,
            "cleanup.policy": "compact",
            "max.message.bytes": str(LETTER_BYTES),
            "min.cleanable.dirty.ratio": "0.2",
            "segment.ms": str(3_600_000),
        },
    }


async def wait_for_kafka(settings: Settings) -> None:
    """Return once a broker answers; raises `Unavailable` within twice `START_SECONDS`, `Refused` at once."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_SECONDS
    servers = ", ".join(bootstrap_servers(settings.broker))
    while True:
        try:
            await knock(settings, START_SECONDS)
        except Unavailable as error:
            if loop.time() >= deadline:
                raise Unavailable(
                    f"no Kafka at {servers} (ORDERS_BROKER) within {START_SECONDS:.0f} s: {error}"
                ) from error
        else:
            return
        await asyncio.sleep(0.5)


async def ensure_topics(settings: Settings, topics: Topics) -> None:
    """Create the topics that are missing and check the others; raises `Inconsistent` or `Refused`."""
    admin = new_admin(settings)
    try:
        with translated("looking at the topics"):
            async with asyncio.timeout(settings.broker_timeout):
                await admin.start()
                existing = await partition_counts(admin, list(topics))
                missing = [name for name in topics if name not in existing]
                if missing:
                    existing |= await _create(admin, settings, topics, missing)
                _check_counts(existing, settings)
                await _check_state_policy(admin, topics)
    finally:
        await admin.close()


async def partition_counts(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    """Return how many partitions each of these topics has, without those that do not exist; raises `Refused`."""
    # Not describe_topics: to ask for a topic that is missing would make it, on a broker that does so by default.
    request = MetadataRequest(names, allow_auto_topic_creation=False)
    answer = await admin._send_request(request)  # noqa: SLF001 - there is no public way to ask like this
    counts = {}
    for topic in answer.to_object()["topics"]:
        error = kafka_errors.for_code(topic["error_code"])
        if error is kafka_errors.TopicAuthorizationFailedError:
            raise Refused(f"this client lacks the right (ACL) to see topic {topic['topic']}")
        if error is kafka_errors.NoError:
            counts[topic["topic"]] = len(topic["partitions"])
    return counts


async def _create(admin: AIOKafkaAdminClient, settings: Settings, topics: Topics, missing: list[str]) -> dict[str, int]:
    """Return the partition counts of the topics once they are there; another worker may have been faster."""
    configs = wanted_configs(topics)
    replicas = settings.kafka_replication or min(USUAL_REPLICAS, len((await admin.describe_cluster())["brokers"]))
    new = [NewTopic(name, settings.partitions, replicas, topic_configs=configs[name]) for name in missing]
    answer: Any = await admin.create_topics(new)
    for name, code, *rest in answer.topic_errors:
        error = kafka_errors.for_code(code)
        if error in (kafka_errors.NoError, kafka_errors.TopicAlreadyExistsError):
            continue
        if error in (kafka_errors.TopicAuthorizationFailedError, kafka_errors.ClusterAuthorizationFailedError):
            raise Refused(f"topic {name} does not exist and this client lacks the right (ACL) to create it")
        raise Refused(f"topic {name} cannot be created: {error.__name__}{': ' + rest[0] if rest and rest[0] else ''}")
    while len(counts := await partition_counts(admin, missing)) < len(missing):  # noqa: ASYNC110 - the broker tells nobody
        await asyncio.sleep(0.05)  # other brokers learn of a topic a little later
    log.info("Created topics %s with %d partitions", ", ".join(missing), settings.partitions)
    return counts


def _check_counts(existing: dict[str, int], settings: Settings) -> None:
    for name, count in existing.items():
        if count != settings.partitions:
            raise Inconsistent(
                f"topic {name} has {count} partitions, but ORDERS_PARTITIONS is {settings.partitions}; "
                f"set ORDERS_PARTITIONS={count}, or use other topics (ORDERS_TOPIC_PREFIX, ORDERS_APP_ID)"
            )


async def _check_state_policy(admin: AIOKafkaAdminClient, topics: Topics) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, topics.state, {"cleanup.policy": ""})
    for answer in await admin.describe_configs([resource]):
        for code, _message, _type, name, entries in answer.resources:
            policies = [entry[1] for entry in entries if entry[0] == "cleanup.policy"]
            if code == 0 and policies and policies[0] != "compact":
                raise Inconsistent(
                    f"topic {name} has cleanup.policy={policies[0]}; it holds the state and must be compact"
                )
