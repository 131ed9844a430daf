"""RQ, for the harness."""

from dataclasses import dataclass
from typing import Final, Literal

from redis import Redis

from benchmarks.peers.filling import gone
from benchmarks.peers.launch import launch
from benchmarks.peers.peer import Environment

QUEUE: Final = "orders"


@dataclass(frozen=True)
class RqPeer:
    """One job an event, one worker.

    SimpleWorker does four to five times as many jobs a second as Worker, which forks for each. RQ's documentation
    recommends it where jobs are as short as these.
    """

    worker: Literal["SimpleWorker", "Worker"] = "SimpleWorker"
    python: Environment = "peers"
    events: int = 6_000

    @property
    def name(self) -> str:
        """With its kind of worker."""
        return f"RQ, {self.worker}"

    def fill(self, url: str) -> list[str]:
        """Enqueue the jobs by RQ itself."""
        return launch(url, "benchmarks.peers.rq_tasks")

    def command(self, url: str) -> list[str]:
        """Start a quiet worker."""
        kind = f"rq.{self.worker}"
        return launch(
            url, "rq.cli", "worker", "--url", url, "--worker-class", kind, "--logging_level", "WARNING", QUEUE
        )

    def done(self, client: Redis) -> int:
        """Count what neither waits nor is in work.

        The one worker's job is in a list of its own, then also in the registry, then only there: it is counted once.
        """
        queue = f"rq:queue:{QUEUE}"
        return gone(client, ("LLEN", queue), in_work=(("LLEN", f"{queue}:intermediate"), ("ZCARD", f"rq:wip:{QUEUE}")))
