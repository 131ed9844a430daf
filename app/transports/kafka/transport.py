"""The Faust transport on Kafka, exactly once."""

from typing import Any, ClassVar

from faust.transport.drivers import aiokafka as driver
from mode import Service

from app.settings import Settings
from app.topics import topics_for
from app.transports.contract import OnAssigned, OnRevoked
from app.transports.group_consumer import GroupConsumer, IdleFetcher
from app.transports.kafka.broker import KafkaBroker
from app.transports.kafka.connection import new_client, translated
from app.transports.kafka.membership import Membership
from app.transports.kafka.provision import ensure_topics, wait_for_kafka
from app.transports.kafka.reader import LATEST, list_offset
from app.transports.kafka.sender import Sender
from app.transports.kafka.snapshot import Snapshot

COPY_OFFSETS_SECONDS = 5.0


class KafkaConsumer(GroupConsumer):
    """Takes part in the group, and copies offsets to where Kafka's tools look for them."""

    _membership: Membership

    @Service.task
    async def _copy_offsets(self) -> None:
        while not self.should_stop:
            await self.sleep(COPY_OFFSETS_SECONDS)
            engine = self.app.engine
            if engine is not None:
                await self._membership.copy_offsets(
                    {lane.partition: lane.next_offset for lane in engine.status() if lane.next_offset is not None}
                )


class KafkaProducer(driver.Producer):
    """Faust's own producer, for `app.send` outside of steps."""

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: topics are made at start, with their configuration."""


class KafkaTransport(driver.Transport):
    """`kafka://` for Faust, exactly once."""

    app: Any

    Consumer: ClassVar[Any] = KafkaConsumer
    Producer: ClassVar[Any] = KafkaProducer
    Fetcher: ClassVar[Any] = IdleFetcher

    @staticmethod
    def open_sender(settings: Settings) -> Sender:
        """Return what sends records from outside of steps; to be entered with `async with`."""
        return Sender(settings)

    @staticmethod
    def open_state(settings: Settings) -> Snapshot:
        """Return what reads the committed state without claiming it; to be entered with `async with`."""
        return Snapshot(settings)

    @staticmethod
    async def prepare(settings: Settings) -> None:
        """Wait for the broker and make the topics; raises the engine's errors."""
        await wait_for_kafka(settings)
        await ensure_topics(settings, topics_for(settings.topic_prefix, settings.app_id))

    @staticmethod
    async def is_unused(settings: Settings) -> bool:
        """Return whether no order was ever sent to this application's topic; raises the engine's errors."""
        topic = topics_for(settings.topic_prefix, settings.app_id).orders
        await wait_for_kafka(settings)  # it may have been told to start a moment ago
        with translated(f"asking {settings.broker} for the topic {topic}"):
            client = new_client(settings)
            try:
                await client.bootstrap()
                partitions = (await client.fetch_all_metadata()).partitions_for_topic(topic) or ()
                if partitions:
                    await client.set_topics([topic])
                ends = [await list_offset(client, topic, p, LATEST, settings.broker_timeout) for p in partitions]
            finally:
                await client.close()
        return not any(ends)

    @staticmethod
    def open_membership(settings: Settings, web_url: str, on_assigned: OnAssigned, on_revoked: OnRevoked) -> Membership:
        """Return a place in the consumer group of the application, not taken yet."""
        topic = topics_for(settings.topic_prefix, settings.app_id).orders
        return Membership(settings, settings.app_id, topic, web_url, on_assigned, on_revoked)

    @staticmethod
    def open_broker(settings: Settings, membership: Any) -> KafkaBroker:
        """Return where the members of a group claim their partitions."""
        return KafkaBroker(settings, topics_for(settings.topic_prefix, settings.app_id), membership)
