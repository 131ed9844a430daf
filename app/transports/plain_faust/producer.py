"""Faust's producer on Redis Streams."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

from aiokafka.partitioner import DefaultPartitioner
from faust.transport.producer import Producer
from faust.types.tuples import TP, RecordMetadata
from mode.utils.times import want_seconds

from app.transports.plain_faust.outbox import Fence, Letter, Outbox
from app.transports.plain_faust.space import Space, Topic


class PlainProducer(Producer):
    """Sends messages; what could not be sent keeps the consumer from committing, and so ends the worker."""

    app: Any
    transport: Any

    allow_headers = True

    def __post_init__(self) -> None:
        self._space: Space = self.transport.space
        self._outbox = Outbox(self._space, self.app.conf.producer_linger)
        self._partition = self.partitioner or DefaultPartitioner()
        self._soon: set[asyncio.Future[Any]] = set()

    async def on_start(self) -> None:
        """Wait for the server."""
        await super().on_start()
        await self._space.open()

    async def on_stop(self) -> None:
        """Send what waits, then disconnect."""
        await super().on_stop()
        await self._outbox.close()
        await self._space.close()

    def send_soon(self, fut: Any) -> None:
        """Take a message to be sent by the buffer, remembering that it has not been."""
        self._soon.add(fut)
        fut.add_done_callback(self._soon.discard)
        super().send_soon(fut)

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> Awaitable[RecordMetadata]:
        """Take a message to be sent, waiting while too many are under way; what is returned is done once it is safe."""
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers or ())
        self.app.on_produce_message.send(key=key, value=value, partition=partition, timestamp=timestamp, headers=pairs)
        to = await self._space.topic(topic)
        if partition is None:
            partition = self._choose(key, to.partitions)
        if not 0 <= partition < to.partitions:
            raise ValueError(f"topic {topic} has {to.partitions} partitions, none of which is {partition}")
        if to.compacted and key is None:
            raise ValueError(f"topic {topic} is compacted: its messages need a key")
        milliseconds = None if timestamp is None else int(timestamp * 1000)
        return await self._outbox.put(
            to, partition, Letter(key, value, pairs, milliseconds, self._fence(to, partition))
        )

    def _fence(self, topic: Topic, partition: int) -> Fence | None:
        """Return what a change of a table depends on, unless others than the partition's owner may make it."""
        if not topic.compacted:
            return None
        table = self.app.tables._changelogs.get(topic.name)  # noqa: SLF001 - Faust offers no other way
        if table is None or table.is_global or table.use_partitioner:
            return None
        fence: Fence = self.app.consumer.fence(partition)
        return fence

    async def send_and_wait(self, *args: Any, **kwargs: Any) -> RecordMetadata:
        """Send a message and wait until the server has it."""
        return await (await self.send(*args, **kwargs))

    async def flush(self) -> None:
        """Wait until everything sent by now is safe; raises what went wrong with any of it."""
        if self._soon:
            await asyncio.wait(set(self._soon))
        await self._outbox.flush()

    async def create_topic(
        self,
        topic: str,
        partitions: int,
        replication: int,
        *,
        compacting: bool | None = None,
        retention: Any = None,
        **kwargs: Any,
    ) -> None:
        """Make a topic unless it is there."""
        if not self.app.conf.topic_allow_declare:
            self.log.warning("Topic creation disabled! Can't create topic %s", topic)
            return
        seconds = want_seconds(retention) if retention else 0.0
        await self._space.declare(topic, partitions, compacted=bool(compacting), retention=seconds)

    def key_partition(self, topic: str, key: bytes) -> TP:
        """Return the partition of a key."""
        known = self._space.known(topic)
        count = (
            known.partitions if known else self.app.consumer.topic_partitions(topic) or self.app.conf.topic_partitions
        )
        return TP(topic, self._choose(key, count))

    def _choose(self, key: bytes | None, count: int) -> int:
        every = list(range(count))
        return int(self._partition(key, every, every))

    def supports_headers(self) -> bool:
        """Return True."""
        return True
