"""A Kafka node of the benchmark's own."""

from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.commands._sending import key_of
from benchmarks.brokers.broker import Broker
from benchmarks.workload import Workload
from tools.kafka_jars import KAFKA_VERSION
from tools.local_kafka import LocalKafka

TIMEOUT = 60
HEAP = "2g"
QUIET: dict[str, str | int | float | bool] = {"log_level": 2}
"""librdkafka says on standard error what it repeats anyway; only what is critical is wanted."""
SENDER = QUIET | {
    "partitioner": "murmur2_random",
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 1_000_000,
}
"""How events are sent: the partition of a key is that of Java's clients, as all candidates expect."""


class Kafka(Broker):
    """One node, which is broker and controller."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._node = LocalKafka(folder / "kafka", heap=HEAP)
        self._node.start()
        self._admin = AdminClient(QUIET | {"bootstrap.servers": self._node.bootstrap})

    @property
    def url(self) -> str:
        """`kafka://…`."""
        return self._node.url

    @property
    def bootstrap(self) -> str:
        """`host:port`."""
        return self._node.bootstrap

    @property
    def describe(self) -> str:
        """Kafka."""
        return f"Kafka {KAFKA_VERSION}, one node, heap {HEAP}"

    def fill(self, workload: Workload) -> None:
        """By librdkafka, which is faster than our own sender."""
        topic = f"{workload.prefix}orders"
        # Steps are written as large batches; the broker's limit is 1 MB by default.
        new = NewTopic(topic, workload.partitions, 1, config={"max.message.bytes": str(16 << 20)})
        for future in self._admin.create_topics([new]).values():
            future.result(TIMEOUT)
        producer = Producer(
            SENDER | {"bootstrap.servers": self._node.bootstrap, "linger.ms": 50, "enable.idempotence": True}
        )
        for count, event in enumerate(workload.lines()):
            while True:
                try:
                    producer.produce(topic, key=key_of(event), value=event)
                    break
                except BufferError:
                    producer.poll(0.1)
            if count % 2_000 == 0:
                producer.poll(0)
        producer.flush()

    def drop(self, workload: Workload) -> None:
        """Delete the topic and those that were made beside it."""
        self._delete(lambda name: name.startswith(workload.prefix))

    def forget_run(self, prefix: str, app_id: str, partitions: int) -> None:
        """Delete state and changelog topics: they are full of rows."""
        self._delete(lambda name: app_id in name)

    def _delete(self, unwanted: Callable[[str], bool]) -> None:
        names = [name for name in self._admin.list_topics(timeout=TIMEOUT).topics if unwanted(name)]
        if names:
            for future in self._admin.delete_topics(names).values():
                future.result(TIMEOUT)

    def close(self) -> None:
        """End the node."""
        self._node.stop()
