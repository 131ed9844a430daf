"""FastStream, for the harness."""

from typing import Final

from redis import Redis

from benchmarks.peers.filling import acknowledged
from benchmarks.peers.launch import launch
from benchmarks.peers.peer import Environment

STREAM: Final = "orders"


class FaststreamPeer:
    """A stream's consumer group in batches of 500, one process.

    Batches of 100 cost about as much. Handed over as dicts that FastStream decoded, batches cost about a quarter more
    CPU; without batches, events cost eight times as much.
    """

    name = "FastStream, batches of 500"
    python: Environment = "peers"
    events = 200_000

    def fill(self, url: str) -> list[str]:
        """Publish the events by FastStream itself."""
        return launch(url, "benchmarks.peers.faststream_app", "fill")

    def command(self, url: str) -> list[str]:
        """Start the app."""
        return launch(url, "benchmarks.peers.faststream_app", "work")

    def done(self, client: Redis) -> int:
        """Count what the group has acknowledged."""
        return acknowledged(client, STREAM)
