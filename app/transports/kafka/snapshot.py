"""Reads the committed state of an application from its topic, without claiming anything: workers never notice."""

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from aiokafka.client import AIOKafkaClient

from app.engine.errors import Inconsistent
from app.settings import Settings
from app.topics import topics_for
from app.transports.contract import StateRows
from app.transports.kafka.connection import new_admin, new_client, translated
from app.transports.kafka.provision import partition_counts, wait_for_kafka
from app.transports.kafka.reader import READ_COMMITTED
from app.transports.kafka.state_log import read_state

PATIENCE_SECONDS = 10.0


class Snapshot:
    """The state of an application; an async context manager. `partitions` says how many there are."""

    def __init__(self, settings: Settings) -> None:
        self.partitions = 0
        self._settings = settings
        self._topic = topics_for(settings.topic_prefix, settings.app_id).state
        self._client: AIOKafkaClient | None = None

    async def __aenter__(self) -> Self:
        await wait_for_kafka(self._settings)
        with translated(f"looking for topic {self._topic}"):
            async with asyncio.timeout(PATIENCE_SECONDS):
                self.partitions = await self._count()
        self._client = new_client(self._settings)
        try:
            with translated(f"connecting to read {self._topic}"):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    self._client.set_topics([self._topic])
                    await self._client.bootstrap()
        except BaseException:
            await self._client.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()

    async def _count(self) -> int:
        admin = new_admin(self._settings)
        try:
            await admin.start()
            counts = await partition_counts(admin, [self._topic])
        finally:
            await admin.close()
        if self._topic not in counts:
            raise Inconsistent(
                f"there is no topic {self._topic}: no worker has run with these settings yet "
                "(ORDERS_BROKER, ORDERS_APP_ID, ORDERS_TOPIC_PREFIX)"
            )
        return counts[self._topic]

    async def read(self, partition: int) -> AsyncIterator[StateRows]:
        """Yield all rows of a partition that are committed by now, some at a time.

        A row may come several times: the last one counts. Raises the engine's errors.
        """
        assert self._client is not None, "enter it first"
        async for chunk in read_state(self._client, self._topic, partition, PATIENCE_SECONDS, READ_COMMITTED):
            yield chunk.rows
