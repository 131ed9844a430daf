"""When a row is committed, for who reads only what is committed: the topic that a candidate writes its rows to."""

import threading
import time
from typing import NamedTuple, Self

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from benchmarks.brokers.kafka import QUIET


class Changelog(NamedTuple):
    """A topic whose records' keys are those of rows."""

    bootstrap: str
    topic: str
    partitions: int


class ChangelogReader(threading.Thread):
    """Notes the moment (seconds, monotonic) at which each key with a prefix is first read. For a `with` block."""

    def __init__(self, changelog: Changelog, prefix: bytes) -> None:
        super().__init__(name="changelog")
        self.seen: dict[str, float] = {}
        self._prefix = prefix
        self._ended = threading.Event()
        options = {
            "bootstrap.servers": changelog.bootstrap,
            "group.id": "changelog",
            "isolation.level": "read_committed",
        }
        self._consumer = Consumer(QUIET | options | {"fetch.wait.max.ms": 10})
        self._consumer.assign([TopicPartition(changelog.topic, p, OFFSET_END) for p in range(changelog.partitions)])

    def run(self) -> None:
        """Read until the block ends."""
        while not self._ended.is_set():
            records = self._consumer.consume(1_000, timeout=0.01)
            now = time.monotonic()
            for record in records:
                key = record.key()
                if isinstance(key, bytes) and key.startswith(self._prefix):
                    self.seen.setdefault(key.decode(), now)
        self._consumer.close()

    def wait_for(self, keys: set[str], seconds: float) -> None:
        """Wait until all of these were read, but not for longer."""
        end = time.monotonic() + seconds
        while not keys <= self.seen.keys() and time.monotonic() < end:
            time.sleep(0.01)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ended.set()
        self.join()
