"""Kafka Streams, one stream thread, under both of its guarantees. The Java sources are in benchmarks/peers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.brokers.kafka import Kafka
from benchmarks.candidates.asking import GroupOffsets, ask
from benchmarks.candidates.candidate import Candidate, Place, Restored, Worker
from benchmarks.changelog import Changelog
from benchmarks.peers.kafka_streams.build import LOG4J, STREAMS_VERSION, class_path, java
from benchmarks.processes import Session
from tools.local_kafka import free_port


class KafkaStreams(Candidate):
    """Everything at its default but what `settings` names."""

    broker = "kafka"

    def __init__(self, key: str, name: str, guarantee: str, settings: dict[str, str], note: str) -> None:
        self.key = key
        self.name = name
        self.note = note
        self.exactly_once = guarantee == "exactly_once_v2"
        self._guarantee = guarantee
        self._settings = settings

    def version(self) -> str:
        """Kafka Streams."""
        return f"Kafka Streams {STREAMS_VERSION}"

    def prepare(self) -> None:
        """Fetch the jars and compile, the first time."""
        class_path()

    @contextmanager
    def start(self, place: Place) -> Iterator[Worker]:
        """Run it."""
        assert isinstance(place.broker, Kafka)
        port = free_port()
        options = ["-Dsun.net.httpserver.nodelay=true", f"-Dlog4j2.configurationFile={LOG4J}", "-cp", class_path()]
        program = ["peer.Main", place.broker.bootstrap, place.app_id, place.topic, self._guarantee]
        settings = [f"{name}={value}" for name, value in self._settings.items()]
        command = [java(), *options, *program, str(place.state), str(port), *settings]

        def status() -> dict[str, Any]:
            return ask(port, "/status") or {"state": "", "rows_restored": 0, "restore_seconds": 0.0}

        with Session(command, place.log) as session:
            yield Worker(
                session,
                done=GroupOffsets(place.broker.bootstrap, place.app_id, place.topic, place.workload.partitions),
                ready=lambda: status()["state"] == "RUNNING",
                customer_url=f"http://127.0.0.1:{port}/totals/{{}}",
                changelog=Changelog(
                    place.broker.bootstrap, f"{place.app_id}-totals-changelog", place.workload.partitions
                ),
                restored=lambda: Restored(int(status()["rows_restored"]), float(status()["restore_seconds"])),
            )
