"""A peer that works on a Redis server, as benchmarks/peers/peer.py describes them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from itertools import islice

from benchmarks.brokers.redis_server import RedisServer
from benchmarks.candidates.candidate import Candidate, Place, Worker
from benchmarks.peers.environment import ensure_peers, peer_version, peers_python
from benchmarks.peers.peer import RedisPeer
from benchmarks.peers.totals import differences
from benchmarks.processes import ROOT, Session

DATABASE = 1
"""Orderflow's topics are in database 0."""
SHOWN = 3


class OnRedis(Candidate):
    """The peer on an empty database of the same server, whose file is synced once a second."""

    broker = "redis"
    brings_events = True

    def __init__(self, key: str, peer: RedisPeer, package: str) -> None:
        self.key = key
        self.name = f"{peer.name}, at least once"
        self.limit = peer.events
        self._peer = peer
        self._package = package

    def version(self) -> str:
        """The installed one."""
        here = self._peer.python == "ours"
        return f"{self._package} {version(self._package) if here else peer_version(self._package)}"

    def prepare(self) -> None:
        """Install the peers."""
        ensure_peers()

    @contextmanager
    def start(self, place: Place) -> Iterator[Worker]:
        """Fill its queue unless that has been done on this place, and run it."""
        server = place.broker
        assert isinstance(server, RedisServer)
        server.tune({})
        url = f"redis://127.0.0.1:{server.port}/{DATABASE}"
        filled = place.folder / "filled"
        with server.client(DATABASE) as client:
            if not filled.exists():
                client.flushdb()
                self._fill(place, url)
                filled.touch()
            with Session([self._python(), *self._peer.command(url)], place.log) as session:
                yield Worker(session, done=lambda: self._peer.done(client))

    def mistakes(self, place: Place) -> str | None:
        """Compare its hashes with the events."""
        server = place.broker
        assert isinstance(server, RedisServer)
        with server.client(DATABASE) as client:
            wrong = differences(client, self._events(place))
        return f"{len(wrong)} customers are wrong: {'; '.join(wrong[:SHOWN])}" if wrong else None

    def _fill(self, place: Place, url: str) -> None:
        filler = subprocess.Popen(
            [self._python(), *self._peer.fill(url)],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            assert filler.stdin is not None
            with suppress(BrokenPipeError), filler.stdin as events:  # it has ended: its exit code tells
                for event in self._events(place):
                    events.write(event + b"\n")
            if filler.wait():
                raise RuntimeError(f"the queue of {self.name} could not be filled: see above")
        finally:
            if filler.poll() is None:
                filler.kill()
                filler.wait()

    def _events(self, place: Place) -> Iterator[bytes]:
        assert self.limit is not None
        return islice(place.workload.lines(), self.limit)

    def _python(self) -> str:
        return peers_python() if self._peer.python == "peers" else sys.executable
