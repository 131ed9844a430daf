"""Faust's producer on Redis Streams, for `app.send` outside of steps."""

import asyncio
import time
from typing import Any

from faust.transport.producer import Producer
from faust.types.tuples import TP, RecordMetadata

from app.topics import partition_of_key
from app.transports.redis_streams.sender import Sender


class RedisProducer(Producer):
    """Sends one record after the other, each acknowledged; connects with the first one."""

    app: Any
    transport: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sender: Sender | None = None
        self._opening = asyncio.Lock()

    async def on_stop(self) -> None:
        """Close the connection, if there is one."""
        if self._sender is not None:
            await self._sender.__aexit__()

    async def send_and_wait(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> RecordMetadata:
        """Send a record to its key's partition and wait until the server has it."""
        if partition is not None or headers:
            raise NotImplementedError("only a key chooses a partition here, and headers are written by steps alone")
        async with self._opening:
            if self._sender is None:
                self._sender = await self.transport.open_sender(self.app.settings).__aenter__()
        await self._sender.send(topic, key, value)
        await self._sender.flush()
        at = self.key_partition(topic, key or b"").partition
        return RecordMetadata(topic, at, TP(topic, at), offset=-1, timestamp=time.time(), timestamp_type=0)

    async def send(self, *args: Any, **kwargs: Any) -> "asyncio.Future[RecordMetadata]":
        """Send a record; the future is done when the server has it."""
        return asyncio.ensure_future(self.send_and_wait(*args, **kwargs))

    async def flush(self) -> None:
        """Wait until everything sent is acknowledged."""
        if self._sender is not None:
            await self._sender.flush()

    def key_partition(self, topic: str, key: bytes) -> TP:
        """Return the partition of a key."""
        return TP(topic, partition_of_key(key, self.app.settings.partitions))

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: topics are made at start."""
