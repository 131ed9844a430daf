"""The offset is read before the claim."""

import asyncio
from typing import Any

from app.settings import Settings
from app.transports.kafka.broker import KafkaBroker
from app.transports.kafka.connection import new_client
from app.transports.kafka.lease import KafkaLease, claim
from app.transports.kafka.reader import READ_COMMITTED
from app.transports.kafka.state_log import read_state
from tests.faults.defects.defect import SETTINGS, Defect
from tests.faults.plan import Event

DEFECT = Defect(
    name="offset-before-claim",
    what="the offset is read before the claim",
    brokers=("kafka",),
    moves=(Event(1.0, "worker-pause", {"worker": 0, "seconds": 5.0, "past_session": True}),),
    seconds=40,
    evidence=r"too often|outcomes|letter",
    workers=2,
    length=8.0,
    settings=SETTINGS
    | {"broker_timeout": 30.0},  # so that the worker that wakes up goes on with what it was about to do
)

WINDOW_SECONDS = 3.0


def plant() -> None:
    """Read the offset, then claim, and go on at that offset whatever the state says."""

    async def claim_late(self: Any, partition: int) -> KafkaLease:
        offset = await _offset(self._settings, self._topics.state, partition)
        await asyncio.sleep(WINDOW_SECONDS)
        lease = await claim(self._settings, self._topics, partition)
        settled = lease._source_offset

        async def at_the_offset_read_before(committed: int | None) -> int:
            return await settled(committed if offset is None else offset)

        vars(lease)["_source_offset"] = at_the_offset_read_before
        return lease

    vars_of: Any = KafkaBroker
    vars_of.claim = claim_late


async def _offset(settings: Settings, topic: str, partition: int) -> int | None:
    client = new_client(settings)
    await client.bootstrap()
    await client.set_topics([topic])
    offset = None
    async for chunk in read_state(client, topic, partition, settings.broker_timeout, READ_COMMITTED):
        offset = offset if chunk.next_offset is None else chunk.next_offset
    await client.close()
    return offset
