"""The simple job as Redis tutorials show it: a consumer group, ten entries a read, state in hashes, one XACK each.

At least once, one process: after a restart it first does again what it had read and not acknowledged. `fill URL` adds
the events of standard input to the stream, `work URL` reads it until killed.
"""

import sys
from typing import Any

import redis

from benchmarks.peers.filling import acknowledged, chunks
from benchmarks.peers.peer import Environment
from benchmarks.peers.totals import add
from models.events import parse_event

STREAM, GROUP, CONSUMER = "orders", "totals", "worker-1"


class RedisLoop:
    """The loop, for the harness."""

    name = "redis-py loop of tutorials"
    python: Environment = "ours"
    events = 60_000

    def fill(self, url: str) -> list[str]:
        """One entry an event."""
        return ["-m", "benchmarks.peers.redis_loop", "fill", url]

    def command(self, url: str) -> list[str]:
        """One loop."""
        return ["-m", "benchmarks.peers.redis_loop", "work", url]

    def done(self, client: redis.Redis) -> int:
        """Count what the group has acknowledged."""
        return acknowledged(client, STREAM)


def fill(url: str) -> None:
    """Add the events of standard input to the stream."""
    server = redis.Redis.from_url(url)
    for chunk in chunks():
        pipeline = server.pipeline(transaction=False)
        for event in chunk:
            pipeline.xadd(STREAM, {"event": event})
        pipeline.execute()


def work(url: str) -> None:
    """Read until killed."""
    server: Any = redis.Redis.from_url(url)
    try:
        server.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as e:
        if "BUSYGROUP" not in str(e):
            raise
    after = "0"  # first what this consumer read before it was killed, and did not acknowledge
    while True:
        for _, entries in server.xreadgroup(GROUP, CONSUMER, {STREAM: after}, count=10, block=1000):
            if not entries:
                after = ">"
            for entry_id, fields in entries:
                add(server, parse_event(fields[b"event"]))
                server.xack(STREAM, GROUP, entry_id)


if __name__ == "__main__":
    {"fill": fill, "work": work}[sys.argv[1]](sys.argv[2])
