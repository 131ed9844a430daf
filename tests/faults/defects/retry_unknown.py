"""A commit of unknown outcome is simply tried again."""

import asyncio
import re
from dataclasses import replace
from typing import Any

from app.engine.errors import Unknown
from app.transports.kafka.batches import Batches
from app.transports.kafka.lease import KafkaLease, claim
from app.transports.redis_streams.lease import RedisLease
from tests.faults.defects.defect import ANSWERS_LOST, TROUBLE, Defect
from tests.faults.defects.lua import leave_out_of_commit
from tests.faults.plan import Event

PAUSES = tuple(
    Event(at, "worker-pause", {"worker": 0, "seconds": 3.5, "past_session": False})
    for at in (1.0, 5.5, 10.0, 14.5, 19.0, 23.5)
)
"""For Kafka: an answer that comes while the worker sleeps comes too late. Not every pause meets a commit."""

DEFECT = Defect(
    name="retry-unknown",
    what="a commit of unknown outcome is simply tried again",
    brokers=("redis", "kafka"),
    moves=(TROUBLE, ANSWERS_LOST, replace(ANSWERS_LOST, at=6.0)),  # not each of them meets a commit
    seconds=60,
    evidence=r"order-updates .*too often|outcomes|instead of once",
    settings={"session_timeout": 6.0, "broker_timeout": 9.0},
    rate=1_000.0,
    elsewhere={"kafka": PAUSES},
    length=10.0,
)

STALE = re.compile(r"local committed = .*?(?=may_write)", re.DOTALL)
PAUSE_SECONDS = 0.25


def plant() -> None:
    """Try again until it is answered.

    Redis would notice by the offset that the step goes on from; that is not looked at.
    """
    leave_out_of_commit(STALE)
    for lease in (KafkaLease, RedisLease):
        _retrying(lease)


def _retrying(lease: Any) -> None:
    commit, write = lease.commit, lease.write

    def write_and_remember(self: Any, outputs: Any) -> None:
        vars(self).setdefault("_remembered", []).extend(outputs)
        write(self, outputs)

    async def commit_until_answered(self: Any, next_offset: int, rows: Any, outputs: Any) -> None:
        self.write(outputs)
        try:
            while True:
                try:
                    await commit(self, next_offset, rows, ())
                except Unknown:
                    await asyncio.sleep(PAUSE_SECONDS)
                    await _reconnect(self)
                    write(self, self._remembered)
                else:
                    break
        finally:
            self._remembered = []

    lease.commit, lease.write = commit_until_answered, write_and_remember


async def _reconnect(lease: Any) -> None:
    if isinstance(lease, KafkaLease):
        again = await claim(lease._settings, lease._topics, lease.partition)
        lease._producer, lease._batches = again._producer, Batches(again._producer)
