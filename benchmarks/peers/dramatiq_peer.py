"""Dramatiq, for the harness."""

from dataclasses import dataclass

from redis import Redis

from benchmarks.peers.filling import gone
from benchmarks.peers.launch import launch
from benchmarks.peers.peer import Environment

_TASKS = "benchmarks.peers.dramatiq_tasks"


@dataclass(frozen=True)
class DramatiqPeer:
    """One message an event, one worker process under Dramatiq's master process.

    Its defaults (8 threads, 2 messages prefetched for each) are for tasks that wait. Of 1, 2, 4 and 8 threads with the
    default, 100 and 1,000 messages prefetched, one thread with 100 was the fastest where nothing else ran: twice
    the defaults. On a busy machine there is less between them.
    """

    threads: int = 1
    prefetch: int = 100
    python: Environment = "peers"
    events: int = 60_000

    @property
    def name(self) -> str:
        """With what was tuned."""
        return f"Dramatiq, threads {self.threads}, prefetch {self.prefetch}"

    def fill(self, url: str) -> list[str]:
        """Send the messages by Dramatiq itself."""
        return launch(url, _TASKS)

    def command(self, url: str) -> list[str]:
        """Start one process."""
        prefetch = str(self.prefetch)
        threads = str(self.threads)
        return launch(
            url, "dramatiq", _TASKS, "--processes", "1", "--threads", threads, dramatiq_queue_prefetch=prefetch
        )

    def done(self, client: Redis) -> int:
        """Count what is not held any more: a message is, until it is acknowledged."""
        return gone(client, ("HLEN", "dramatiq:default.msgs"))
