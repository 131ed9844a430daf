"""The offset is read before the claim."""

import asyncio
import time
from typing import Any

from aiokafka.client import AIOKafkaClient

from app.settings import Settings
from app.transports.kafka.broker import KafkaBroker
from app.transports.kafka.connection import new_client
from app.transports.kafka.lease import KafkaLease, claim
from app.transports.kafka.reader import READ_COMMITTED
from app.transports.kafka.state_log import read_state
from tests.faults.defects.defect import Defect
from tests.faults.plan import Event

DEFECT = Defect(
    name="offset-before-claim",
    what="the offset is read before the claim",
    brokers=("kafka",),
    moves=(Event(1.0, "worker-pause", {"worker": 0, "seconds": 8.0, "past_session": True}),),
    seconds=60,
    evidence=r"too often|outcomes|letter|instead of once",
    workers=2,
    length=11.0,
    settings={"session_timeout": 3.0, "broker_timeout": 30.0},
)

WINDOW_SECONDS = 8.0
LOOK_SECONDS = 0.5


def plant() -> None:
    """Read the offset, then claim, and go on at that offset whatever the state says."""

    async def claim_late(self: Any, partition: int) -> KafkaLease:
        offset = await _offset_then_wait(self._settings, self._topics.state, partition)
        lease = await claim(self._settings, self._topics, partition)
        settled = lease._source_offset

        async def at_the_offset_read_before(committed: int | None) -> int:
            return await settled(committed if offset is None else offset)

        vars(lease)["_source_offset"] = at_the_offset_read_before
        return lease

    broker: Any = KafkaBroker
    broker.claim = claim_late


async def _offset_then_wait(settings: Settings, topic: str, partition: int) -> int | None:
    """Return the offset, once the former owner has made one more commit, or has had the time for it."""
    client = new_client(settings)
    await client.bootstrap()
    await client.set_topics([topic])
    try:
        offset = await _offset(client, settings, topic, partition)
        deadline = time.monotonic() + WINDOW_SECONDS
        while offset is not None and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            if await _offset(client, settings, topic, partition) != offset:
                break
        return offset
    finally:
        await client.close()


async def _offset(client: AIOKafkaClient, settings: Settings, topic: str, partition: int) -> int | None:
    offset = None
    async for chunk in read_state(client, topic, partition, settings.broker_timeout, READ_COMMITTED):
        offset = offset if chunk.next_offset is None else chunk.next_offset
    return offset
