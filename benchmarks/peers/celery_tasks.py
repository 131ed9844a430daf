"""The simple job as a Celery task: acknowledged late, no result. Started as a module, it fills the queue.

Run it as a worker: `REDIS_URL=… celery -A benchmarks.peers.celery_tasks worker`. Needs Celery, which only the peers'
environment has.
"""

import os
from typing import Any

import redis
from celery import Celery

from benchmarks.peers.filling import chunks, note, note_calls
from benchmarks.peers.launch import URL
from benchmarks.peers.totals import add
from models.events import parse_event

app = Celery(
    "totals",
    broker=os.environ[URL],
    task_acks_late=True,  # at least once …
    task_reject_on_worker_lost=True,  # … also when a process of the pool is killed
    task_ignore_result=True,
    worker_enable_remote_control=False,
    worker_disable_rate_limits=True,
    broker_connection_retry_on_startup=True,
)
server: Any = redis.Redis.from_url(os.environ[URL])


@app.task(name="record")  # type: ignore[untyped-decorator]
def record(event: str) -> None:
    """Add one event to its customer's totals."""
    pipeline = server.pipeline(transaction=False)
    add(pipeline, parse_event(event.encode()))
    pipeline.execute()


def fill() -> None:
    """Send one task for each event of standard input."""
    note_calls(server, "hdel")
    with app.producer_pool.acquire(block=True) as producer:
        for chunk in chunks():
            for event in chunk:
                record.apply_async((event.decode(),), producer=producer)
            note(server, len(chunk))


if __name__ == "__main__":
    fill()
