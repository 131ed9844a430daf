"""The Faust transport on Kafka: Faust asks it for topics and an assignment; records go by the engine's lanes instead.

Faust's own commit, seek and fetch machinery is inert here: a lane owns its position.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from faust.transport import base
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

from app.engine.errors import EngineError
from app.settings import Settings
from app.topics import partition_of_key
from app.transports.kafka.broker import KafkaBroker
from app.transports.kafka.membership import Membership
from app.transports.kafka.provision import ensure_topics, wait_for_kafka
from app.transports.kafka.sender import Sender
from app.transports.kafka.snapshot import Snapshot

COPY_OFFSETS_SECONDS = 5.0


class GroupConsumer(Consumer):
    """Faust's consumer: takes part in the group, hands assignments on, reads nothing."""

    app: Any

    def __init__(self, transport: "KafkaTransport", *args: Any, **kwargs: Any) -> None:
        super().__init__(transport, *args, **kwargs)
        app = self.app
        self._membership = Membership(
            app.settings,
            app.settings.app_id,
            app.topic_names.orders,
            app.settings.web_address(app.conf.web_port),
            self._assigned,
            self._revoked,
        )
        self._held: set[TP] = set()

    async def on_start(self) -> None:
        """Join the group. What goes wrong here ends the worker with one clear line."""
        app = self.app
        try:
            await self._membership.start()
        except EngineError as error:
            app.fail(error)
            return
        app.start_engine(KafkaBroker(app.settings, app.topic_names, self._membership))

    async def on_stop(self) -> None:
        """Give up every partition, then leave the group, so that others need not wait for a time-out."""
        await self.app.stop_engine()
        await self._membership.stop()

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Faust's conductor says which topics agents read; the membership has subscribed to them already."""

    @property
    def routes(self) -> Mapping[int, str]:
        """Which worker owns which partition, as web addresses."""
        return self._membership.assignor.routes

    async def _assigned(self, partitions: set[int], generation: int) -> None:
        tps = {TP(self.app.topic_names.orders, partition) for partition in partitions}
        self._held = tps
        self.app.consumer_generation_id = generation
        await self.on_partitions_assigned(tps, generation)
        self.app.on_rebalance_end()
        await self.app.engine.assign(partitions)

    async def _revoked(self, partitions: set[int]) -> None:
        self.app.on_rebalance_start()
        await self.on_partitions_revoked({TP(self.app.topic_names.orders, partition) for partition in partitions})

    @Service.task
    async def _watch(self) -> None:
        try:
            await self._membership.watch()
        except EngineError as error:
            self.app.fail(error)

    @Service.task
    async def _copy_offsets(self) -> None:
        while not self.should_stop:
            await self.sleep(COPY_OFFSETS_SECONDS)
            engine = self.app.engine
            if engine is not None:
                await self._membership.copy_offsets(
                    {lane.partition: lane.next_offset for lane in engine.status() if lane.next_offset is not None}
                )

    def assignment(self) -> set[TP]:
        """Return the partitions of this worker."""
        return self._held

    def topic_partitions(self, topic: str) -> int | None:
        """Return the partition count of the application's topics."""
        count: int = self.app.settings.partitions
        return count

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """Return the partition of a key."""
        return (
            partition if partition is not None or key is None else partition_of_key(key, self.app.settings.partitions)
        )

    # What follows Faust may call, and must find to do nothing: positions belong to the lanes.

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return True

    async def commit(self, *args: Any, **kwargs: Any) -> bool:
        """Do nothing: a step commits itself."""
        return True

    async def wait_empty(self) -> None:
        """Do nothing: lanes end their own steps."""

    async def perform_seek(self) -> None:
        """Do nothing."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Do nothing."""
        return {}

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Do nothing."""

    async def _seek(self, partition: TP, offset: int) -> None:
        pass

    async def position(self, tp: TP) -> int | None:
        """Return None: positions belong to the lanes."""
        return None

    def highwater(self, tp: TP) -> int:
        """Return 0: lag is told by the lanes."""
        return 0

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Return nothing."""
        return {}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Return nothing."""
        return {}

    async def _getmany(self, active_partitions: Any, timeout: float) -> Mapping[TP, list[Any]]:  # noqa: ASYNC109 - Faust's signature
        return {}

    def _to_message(self, tp: TP, record: Any) -> Any:
        raise NotImplementedError("records reach agents as steps, never as messages")

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: topics are made at start, with their configuration."""

    def verify_recovery_event_path(self, now: float, tp: TP) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class IdleFetcher(base.Fetcher):
    """Faust's fetcher, with nothing to fetch."""

    @Service.task
    async def _fetcher(self) -> None:
        await self.wait_until_stopped()


class KafkaProducer(driver.Producer):
    """Faust's own producer, for `app.send` outside of steps."""

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: topics are made at start, with their configuration."""


class KafkaTransport(driver.Transport):
    """`kafka://` for Faust, exactly once."""

    app: Any

    Consumer: ClassVar[Any] = GroupConsumer
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

    async def prepare(self) -> None:
        """Wait for the broker and make the topics; raises the engine's errors."""
        await wait_for_kafka(self.app.settings)
        await ensure_topics(self.app.settings, self.app.topic_names)
