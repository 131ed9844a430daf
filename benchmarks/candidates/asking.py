"""Questions to a candidate's own HTTP server, and to Kafka about its group."""

import json
import urllib.error
import urllib.request
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from benchmarks.brokers.kafka import QUIET

ANSWER_SECONDS = 5.0


def ask(port: int, path: str) -> Any:
    """Return the JSON that a worker answers to a path, None while it does not answer or says no."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=ANSWER_SECONDS) as answer:
            return json.load(answer)
    except (OSError, urllib.error.HTTPError):
        return None


class GroupOffsets:
    """How far a consumer group has committed on a topic. Asked by a consumer that never joins the group.

    Not by the admin client: confluent-kafka 2.16 crashes the process (SIGSEGV) when it is asked for a group's offsets
    before the broker has had any group.
    """

    def __init__(self, bootstrap: str, group: str, topic: str, partitions: int) -> None:
        # What is committed counts at once; waiting until no transaction is open would only tell it later.
        options = {"bootstrap.servers": bootstrap, "group.id": group, "isolation.level": "read_uncommitted"}
        self._consumer = Consumer(QUIET | options)
        self._partitions = [TopicPartition(topic, partition) for partition in range(partitions)]

    def __call__(self) -> int | None:
        """Return the sum of the committed offsets, None while there is no group."""
        try:
            answer = self._consumer.committed(self._partitions, timeout=ANSWER_SECONDS)
        except KafkaException:
            return None
        return sum(max(0, part.offset) for part in answer)
