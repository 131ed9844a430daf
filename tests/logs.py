"""Reads whole topics of a Kafka with a client that shares no code with the application's, committed records only."""

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tests.contract.brokers.server import Read

POLL_SECONDS = 0.2


class Log:
    """A topic, or one partition of it, followed from its beginning."""

    def __init__(self, bootstrap: str, topic: str, partitions: int | Sequence[int]) -> None:
        self.topic = topic
        self.records: list[Read] = []
        self._bootstrap = bootstrap
        self._partitions = range(partitions) if isinstance(partitions, int) else partitions
        self._reached = dict.fromkeys(self._partitions, 0)
        self._committed = _consumer(bootstrap, "read_committed")
        # A second client, as the ends that a read_committed one sees leave out open transactions.
        self._written = _consumer(bootstrap, "read_uncommitted")
        self._committed.assign([TopicPartition(topic, partition, 0) for partition in self._partitions])

    def catch_up(self, seconds: float = 60) -> Sequence[Read]:
        """Read on, and return all records from the beginning, in the order of each partition."""
        self.records.extend(self.read_on(seconds))
        return self.records

    def only(self, partition: int) -> "Log":
        """Return the same topic from its beginning, but of one partition."""
        return Log(self._bootstrap, self.topic, [partition])

    def read_on(self, seconds: float = 60) -> Iterator[Read]:
        """Yield what was not read yet, to where the topic ends now, whatever is still uncommitted there included.

        Fails if it gets no further for `seconds`, for instance because a transaction stays open.
        """
        deadline = time.monotonic() + seconds
        ends = {partition: self._end(partition, deadline) for partition in self._partitions}
        while any(self._reached[partition] < ends[partition] for partition in self._partitions):
            for message in self._committed.consume(10_000, POLL_SECONDS):
                record = self._take(message)
                if record is not None:
                    deadline = time.monotonic() + seconds
                    yield record
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.topic} cannot be read to its end {ends}, only to {self._reached}")

    def close(self) -> None:
        """Let go of the connections."""
        self._committed.close()
        self._written.close()

    def _end(self, partition: int, deadline: float) -> int:
        while True:
            try:
                _, end = self._written.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=10)
            except KafkaException:  # a broker that is just starting leads no partition yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)
            else:
                return int(end)

    def _take(self, message: Message) -> Read | None:
        error = message.error()
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        if error is None:
            self._reached[partition] = offset + 1
            record: Any = message  # its types are declared too loosely to be of use
            headers = tuple(record.headers() or ())
            return Read(partition, offset, record.key(), record.value(), headers, *record.timestamp())
        if error.code() == KafkaError._PARTITION_EOF:
            # Its offset lies behind transaction markers, which are not delivered.
            self._reached[partition] = max(self._reached[partition], offset)
        elif error.fatal() or not (error.retriable() or error.code() in _PASSING):
            raise AssertionError(f"reading {self.topic}: {error.str()}")
        return None

    def __enter__(self) -> Self:
        """Read nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


_PASSING = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE}


def _consumer(bootstrap: str, isolation: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"log-{uuid.uuid4()}",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 20,
            "log_level": 2,
        }
    )
