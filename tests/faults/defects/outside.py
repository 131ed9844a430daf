"""Sends some outputs of a step past its commit: what two of the defects have in common."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer

from app.transports.kafka.connection import client_options
from app.transports.kafka.lease import KafkaLease
from app.transports.redis_streams.entries import Packer
from app.transports.redis_streams.lease import RedisLease

WINDOW_SECONDS = 0.3


def plant_outside(is_outside: Callable[[str], bool]) -> None:
    """Send the outputs to topics that are `is_outside` a little before the commit."""
    _divide(KafkaLease, _send_kafka, is_outside)
    _divide(RedisLease, _send_redis, is_outside)


def _divide(lease: Any, send: Any, is_outside: Callable[[str], bool]) -> None:
    write, commit = lease.write, lease.commit

    def write_inside(self: Any, outputs: Any) -> None:
        vars(self).setdefault("_outside", []).extend(output for output in outputs if is_outside(output.topic))
        write(self, [output for output in outputs if not is_outside(output.topic)])

    async def send_then_commit(self: Any, next_offset: int, rows: Any, outputs: Any) -> None:
        self.write(outputs)
        outside, self._outside = self._outside, []
        if outside:
            await send(self, outside)
            await asyncio.sleep(WINDOW_SECONDS)
        await commit(self, next_offset, rows, ())

    lease.write, lease.commit = write_inside, send_then_commit


async def _send_kafka(lease: Any, outputs: Any) -> None:
    async with AIOKafkaProducer(**client_options(lease._settings), max_request_size=64 << 20) as producer:
        sent = [
            await producer.send(o.topic, o.value, o.key, o.partition, headers=o.headers, timestamp_ms=o.timestamp)
            for o in outputs
        ]
        await asyncio.gather(*sent)


async def _send_redis(lease: Any, outputs: Any) -> None:
    for topic, partition in {(output.topic, output.partition): None for output in outputs}:
        packer = Packer()
        packer.extend([output for output in outputs if (output.topic, output.partition) == (topic, partition)])
        for count, packed in packer.finish():
            number = lease._defect_number = getattr(lease, "_defect_number", 0) + 1
            keys = [lease._keys.stream(topic, partition), lease._keys.offsets(topic, partition)]
            keys.append(lease._keys.sender(f"defect-{lease._token}-{lease.partition}"))
            await lease._scripts("append", keys, [count, packed, 1 << 40, f"{topic}:{partition}", number, 3600])
