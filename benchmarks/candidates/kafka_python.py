"""Other stream processors in Python on Kafka: Quix Streams and stock Faust, as their documentation shows them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from benchmarks.brokers.kafka import Kafka
from benchmarks.candidates.asking import GroupOffsets
from benchmarks.candidates.candidate import Candidate, Place, Worker
from benchmarks.peers.environment import ensure_peers, peer_version, peers_python
from benchmarks.processes import Session


class PythonOnKafka(Candidate):
    """A worker of another library; the broker tells how far its group has committed."""

    broker = "kafka"

    def command(self, place: Place) -> list[str]:
        """Return the command of one worker."""
        raise NotImplementedError

    @contextmanager
    def start(self, place: Place) -> Iterator[Worker]:
        """Run it."""
        assert isinstance(place.broker, Kafka)
        bootstrap, workload = place.broker.bootstrap, place.workload
        with Session(self.command(place), place.log, place.settings()) as session:
            yield Worker(session, done=GroupOffsets(bootstrap, place.app_id, place.topic, workload.partitions))


class QuixStreams(PythonOnKafka):
    """Quix Streams."""

    key = "quix-streams"
    name = "Quix Streams, at least once"
    limit = 500_000
    note = "Quix Streams: commit_interval 1 s, not 5, so that its progress shows"

    def version(self) -> str:
        """The installed one."""
        return f"Quix Streams {peer_version('quixstreams')}"

    def prepare(self) -> None:
        """Install it beside the other peers."""
        ensure_peers()

    def command(self, place: Place) -> list[str]:
        """By the peers' Python."""
        script = ["-m", "benchmarks.peers.quix_streams"]
        assert isinstance(place.broker, Kafka)
        return [peers_python(), *script, place.broker.bootstrap, place.app_id, place.topic, str(place.state)]


class StockFaust(PythonOnKafka):
    """faust-streaming without Orderflow."""

    key = "stock-faust"
    name = "Faust as it comes, at least once"
    limit = 60_000
    note = "stock Faust: its usual commit interval of 2.8 s, tables in memory"

    def version(self) -> str:
        """The installed one."""
        return f"faust-streaming {version('faust-streaming')}"

    def command(self, place: Place) -> list[str]:
        """By our own Python: it is a dependency of ours."""
        faust = str(Path(sys.executable).with_name("faust"))
        where = ["--datadir", str(place.state)]
        return [faust, "-A", "benchmarks.peers.stock_faust", *where, "worker", "-l", "warn", "--without-web"]
