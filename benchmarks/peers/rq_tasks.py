"""The simple job as an RQ job: no result kept, tried again if its worker dies. Started as a module, it fills the queue.

Run it as a worker: `REDIS_URL=… rq worker --url … orders`. Needs RQ, which only the peers' environment has.
"""

import os
from typing import Any

import redis
from rq import Queue, Retry

from benchmarks.peers.filling import chunks, note
from benchmarks.peers.launch import URL
from benchmarks.peers.rq_peer import QUEUE
from benchmarks.peers.totals import add
from models.events import parse_event

server: Any = redis.Redis.from_url(os.environ[URL])


def record(event: bytes) -> None:
    """Add one event to its customer's totals."""
    pipeline = server.pipeline(transaction=False)
    add(pipeline, parse_event(event))
    pipeline.execute()


def fill() -> None:
    """Enqueue one job for each event of standard input."""
    queue = Queue(QUEUE, connection=server)
    job, retry = "benchmarks.peers.rq_tasks.record", Retry(max=3)
    for chunk in chunks():
        queue.enqueue_many(
            Queue.prepare_data(job, (event,), result_ttl=0, retry=retry, description="record") for event in chunk
        )
        note(server, len(chunk))


if __name__ == "__main__":
    fill()
