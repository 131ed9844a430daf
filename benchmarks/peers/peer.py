"""What the harness asks of a peer that works on a Redis server. One class a peer, in a file named after it.

The file of the class must be importable in our own environment; whatever needs the peer's library stands in another
file, which only the commands below load. Commands are arguments of a Python interpreter, for instance
`["-m", "benchmarks.peers.redis_loop", url]`; the harness puts the right interpreter before them (`python` says which)
and runs them with the project's root as working folder and on PYTHONPATH.
"""

from typing import Literal, Protocol

from redis import Redis

Environment = Literal["ours", "peers"]
"""Our own virtual environment, or that of benchmarks/peers/requirements.lock."""


class RedisPeer(Protocol):
    """The simple job as users of another tool would write it: state in hashes of the same server, at least once."""

    @property
    def name(self) -> str:
        """What the table calls it, with the settings that matter: "Celery, prefork, 1 process"."""

    @property
    def python(self) -> Environment:
        """The environment that its commands run in."""

    @property
    def events(self) -> int:
        """How many events are enough for a figure that holds: about 20 seconds of work."""

    def fill(self, url: str) -> list[str]:
        """Return the command that puts events into its queue: one JSON text a line on standard input, until its end."""

    def command(self, url: str) -> list[str]:
        """Return the command that runs one worker, in one process where the tool allows it, until SIGTERM."""

    def done(self, client: "Redis") -> int:
        """Return how many events are done, as the server tells: never by the worker's own word.

        The count starts at 0 on an empty server, whatever has been put into the queue, and only grows.
        """
