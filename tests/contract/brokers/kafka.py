"""Apache Kafka, looked into by confluent-kafka."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from confluent_kafka import KafkaError, Message, Producer

from app.settings import Settings
from tests.contract.brokers.server import Sent, Server, names
from tests.logs import Log
from tools.local_kafka import LocalKafka

OFFSET_KEY = b"offset"
MAX_RECORD_BYTES = 15 << 20


class KafkaServer(Server):
    """One node."""

    name: ClassVar[str] = "kafka"
    session_timeout: ClassVar[float] = 3.0
    answers_early: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Six seconds are the least that a broker allows as it comes; each death of a member is waited for as long.
        self.node = LocalKafka(folder, properties={"group.min.session.timeout.ms": "2000"})

    def start(self) -> None:
        """Start the node."""
        self.node.start()

    def stop(self) -> None:
        """Stop the node."""
        self.node.stop()

    def kill(self) -> None:
        """Kill the node."""
        self.node.kill()

    def address(self) -> dict[str, Any]:
        """Return its address."""
        return {"broker": self.node.url}

    def log(self, settings: Settings, topic: str) -> Log:
        """Read with confluent-kafka."""
        return Log(self.node.bootstrap, topic, settings.partitions)

    def view(self, settings: Settings) -> "KafkaView":
        """Read the state topic."""
        return KafkaView(self.log(settings, names(settings).state))

    def feed(self, settings: Settings) -> "KafkaFeed":
        """Send with librdkafka, once with Kafka's default partitioner, once with its own."""
        return KafkaFeed(self.node.bootstrap, names(settings).orders)


class KafkaView:
    """See `StateView`: the newest record of a key counts."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._newest: dict[int, dict[bytes, bytes]] = {}

    def _catch_up(self, partition: int) -> dict[bytes, bytes]:
        for record in self._log.read_on():
            assert record.key is not None
            newest = self._newest.setdefault(record.partition, {})
            if record.value is None:
                newest.pop(record.key, None)
            else:
                newest[record.key] = record.value
        return self._newest.get(partition, {})

    def offset(self, partition: int) -> int | None:
        """Return the row of the offset."""
        found = self._catch_up(partition).get(OFFSET_KEY)
        return None if found is None else int(json.loads(found)["next"])

    def rows(self, partition: int) -> dict[tuple[str, str], bytes]:
        """Return all other rows."""
        rows = {}
        for name, row in self._catch_up(partition).items():
            if name != OFFSET_KEY:
                table, _, key = name.decode().partition("/")
                rows[table, key] = row
        return rows

    def close(self) -> None:
        """Disconnect."""
        self._log.close()


class KafkaFeed:
    """See `Feed`."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.failures: list[str] = []
        self._delivered = 0
        self._topic = topic
        self._producers = (_producer(bootstrap, "murmur2_random"), _producer(bootstrap, "consistent"))

    @property
    def delivered(self) -> int:
        """How many records are acknowledged by now."""
        for producer in self._producers:
            producer.poll(0)
        return self._delivered

    def send(self, records: Sequence[tuple[Sent, bool]]) -> None:
        """Send records."""
        for (key, value, headers), misplaced in records:
            producer = self._producers[misplaced]
            while True:
                try:
                    producer.produce(self._topic, value, key, headers=list(headers), on_delivery=self._done)
                except BufferError:
                    producer.poll(0.1)
                else:
                    break
            producer.poll(0)

    def finish(self, seconds: float) -> None:
        """Wait until everything is acknowledged."""
        for producer in self._producers:
            producer.flush(seconds)

    def close(self) -> None:
        """Drop what is under way."""
        for producer in self._producers:
            producer.purge()
            producer.flush(5)

    def _done(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._delivered += 1
        else:
            self.failures.append(str(error))


def _producer(bootstrap: str, partitioner: str) -> Producer:
    options: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "partitioner": partitioner,
        "enable.idempotence": True,
        "linger.ms": 5,
        "message.max.bytes": MAX_RECORD_BYTES,
        "log_level": 2,
    }
    return Producer(options)
