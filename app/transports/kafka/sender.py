"""Sends records to topics from outside a step (`emit`, sources): acknowledged by all replicas, no repeats."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any, Self

from aiokafka import AIOKafkaProducer

from app.settings import Settings
from app.topics import partition_of_key, topics_for
from app.transports.kafka.connection import client_options, translated, wait_for_nodes
from app.transports.kafka.provision import ensure_topics, wait_for_kafka

IN_FLIGHT = 5_000
"""Records sent and not yet acknowledged, at most; sending waits beyond that."""


class Sender:
    """An async context manager; `acknowledged` counts records that the broker has safely."""

    def __init__(self, settings: Settings) -> None:
        self.acknowledged = 0
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._failure: BaseException | None = None
        self._spread = itertools.count()

    async def __aenter__(self) -> Self:
        settings = self._settings
        await wait_for_kafka(settings)
        await ensure_topics(settings, topics_for(settings.topic_prefix, settings.app_id))
        options = client_options(settings) | {"request_timeout_ms": int(settings.broker_timeout * 1000)}
        self._producer = AIOKafkaProducer(
            **options, enable_idempotence=True, linger_ms=5, max_batch_size=256 << 10, max_request_size=64 << 20
        )
        wait_for_nodes(self._producer.client, settings)
        with translated("starting to send"):
            await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int | None = None,
    ) -> None:
        """Send a record; waits while too many are under way. See `app.transports.contract.Sender`.

        Raises the engine's errors, also for records sent earlier.
        """
        assert self._producer is not None
        count = self._settings.partitions
        if partition is None:
            partition = next(self._spread) % count if key is None else partition_of_key(key, count)
        with translated(f"sending to topic {topic}"):
            await self._room.acquire()
            self._raise_failure()
            if key is None and value is None:
                value = b""  # aiokafka refuses a record of nothing; an empty value is as little an event
            future = await self._producer.send(topic, value, key, partition, headers=list(headers))
            future.add_done_callback(self._done)

    async def flush(self) -> None:
        """Wait until everything sent is acknowledged; raises what went wrong."""
        assert self._producer is not None
        with translated("sending"):
            await self._producer.flush()
            self._raise_failure()

    def _done(self, future: "asyncio.Future[Any]") -> None:
        self._room.release()
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self.acknowledged += 1
        elif self._failure is None:
            self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
