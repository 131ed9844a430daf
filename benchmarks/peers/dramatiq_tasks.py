"""The simple job as a Dramatiq actor. Started as a module, it fills the queue.

Run it as a worker: `REDIS_URL=… dramatiq benchmarks.peers.dramatiq_tasks`. Needs Dramatiq, which only the peers'
environment has.
"""

import os
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers.filling import chunks, note
from benchmarks.peers.launch import URL
from benchmarks.peers.totals import add
from models.events import parse_event

dramatiq.set_broker(RedisBroker(url=os.environ[URL]))
server: Any = redis.Redis.from_url(os.environ[URL])


@dramatiq.actor  # type: ignore[untyped-decorator]
def record(event: str) -> None:
    """Add one event to its customer's totals."""
    pipeline = server.pipeline(transaction=False)
    add(pipeline, parse_event(event.encode()))
    pipeline.execute()


def fill() -> None:
    """Send one message for each event of standard input."""
    for chunk in chunks():
        for event in chunk:
            record.send(event.decode())
        note(server, len(chunk))


if __name__ == "__main__":
    fill()
