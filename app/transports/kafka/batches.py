"""Packs the records of one step into as few batches per partition as their size allows."""

import asyncio
from collections import defaultdict
from typing import Any

from aiokafka import AIOKafkaProducer

BATCH_BYTES = 4 << 20
_NO_HEADERS: list[tuple[str, bytes]] = []


class Batches:
    """The batches of one step, of up to `BATCH_BYTES` each (a larger record is a batch of its own)."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._open: dict[tuple[str, int], Any] = {}
        self._full: dict[tuple[str, int], list[Any]] = defaultdict(list)

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]] = _NO_HEADERS,
        timestamp: int | None = None,
    ) -> None:
        """Add a record; `timestamp` in ms, None = now."""
        target = (topic, partition)
        batch = self._open.get(target)
        if batch is None:
            batch = self._open[target] = self._producer.create_batch()
        if batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
            self._full[target].append(batch)
            batch = self._open[target] = self._producer.create_batch()
            batch.append(timestamp=timestamp, key=key, value=value, headers=headers)

    async def send(self) -> list[tuple[str, "asyncio.Future[Any]"]]:
        """Hand all batches to the producer; returns the topic and the future of each."""
        futures = []
        for target, batch in self._open.items():
            topic, partition = target
            for part in [*self._full[target], batch]:
                future = await self._producer.send_batch(part, topic, partition=partition)
                future.add_done_callback(_look_at)
                futures.append((topic, future))
        return futures


def _look_at(future: "asyncio.Future[Any]") -> None:
    """Keep asyncio from logging a failure that came after somebody else's had ended the step."""
    if not future.cancelled():
        future.exception()
