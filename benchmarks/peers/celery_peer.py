"""Celery, for the harness."""

from dataclasses import dataclass
from typing import Literal

from redis import Redis

from benchmarks.peers.filling import called
from benchmarks.peers.launch import launch
from benchmarks.peers.peer import Environment

_TASKS = "benchmarks.peers.celery_tasks"


@dataclass(frozen=True)
class CeleryPeer:
    """One task an event, one worker.

    The solo pool does about as many tasks a second as prefork with one process, for three quarters of the CPU:
    prefork hands each task on to its second process. How many tasks are prefetched made no difference.
    """

    pool: Literal["solo", "prefork"] = "solo"
    python: Environment = "peers"
    events: int = 20_000

    @property
    def name(self) -> str:
        """With its pool."""
        return f"Celery, {self.pool}"

    def fill(self, url: str) -> list[str]:
        """Send the tasks by Celery itself."""
        return launch(url, _TASKS)

    def command(self, url: str) -> list[str]:
        """Start a worker that talks to no other worker, and is quiet."""
        pool = ["--pool", self.pool, "--concurrency", "1", "--loglevel", "WARNING"]
        return launch(
            url, "celery", "-A", _TASKS, "worker", *pool, "--without-gossip", "--without-mingle", "--without-heartbeat"
        )

    def done(self, client: Redis) -> int:
        """Count acknowledgements: each deletes its message from the hash `unacked`.

        What waits and what is unacknowledged does not tell: Celery takes a message off the list before it notes it
        there, and in between it is nowhere.
        """
        return called(client, "hdel")
