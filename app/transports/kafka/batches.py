"""Packs the records of one step into as few batches per partition as their size allows."""

import asyncio
from collections import defaultdict
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

BATCH_BYTES = 4 << 20
LARGE_BYTES = 1 << 20
"""A record above this is packed by itself, compressed: it may have come so, and be far beyond any limit without."""

_NO_HEADERS: list[tuple[str, bytes | None]] = []


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
        headers: list[tuple[str, bytes | None]] = _NO_HEADERS,
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

    def append_large(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes | None]] = _NO_HEADERS,
        timestamp: int | None = None,
    ) -> None:
        """Add a record as a compressed batch of its own, in its place among the others."""
        target = (topic, partition)
        before = self._open.pop(target, None)
        if before is not None:
            self._full[target].append(before)
        batch = BatchBuilder(BATCH_BYTES, DefaultRecordBatch.CODEC_ZSTD, is_transactional=True)
        batch.append(timestamp=timestamp, key=key, value=value, headers=headers)
        self._full[target].append(batch)

    async def send(self) -> list[tuple[str, "asyncio.Future[Any]"]]:
        """Hand all batches to the producer; returns the topic and the future of each."""
        futures = []
        for target in dict.fromkeys([*self._full, *self._open]):
            topic, partition = target
            last = [self._open[target]] if target in self._open else []
            for part in [*self._full[target], *last]:
                future = await self._producer.send_batch(part, topic, partition=partition)
                future.add_done_callback(_look_at)
                futures.append((topic, future))
        return futures


def is_large(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]) -> bool:
    """Whether a record is to be compressed by itself."""
    size = len(key or b"") + len(value or b"")
    if len(headers) > 1:  # one is our own, and short
        size += sum(len(content or b"") for _, content in headers)
    return size > LARGE_BYTES


def _look_at(future: "asyncio.Future[Any]") -> None:
    """Keep asyncio from logging a failure that came after somebody else's had ended the step."""
    if not future.cancelled():
        future.exception()
