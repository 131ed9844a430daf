"""Questions to a candidate's own HTTP server, and to Kafka about its group."""

import json
import urllib.error
import urllib.request
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

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
    """How far a consumer group has committed on a topic."""

    def __init__(self, bootstrap: str, group: str, topic: str, partitions: int) -> None:
        self._admin = AdminClient(QUIET | {"bootstrap.servers": bootstrap})
        parts = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._question = ConsumerGroupTopicPartitions(group, parts)
        self._group = group

    def __call__(self) -> int | None:
        """Return the sum of the committed offsets, None while there is no group."""
        try:
            answer = self._admin.list_consumer_group_offsets([self._question])[self._group].result(ANSWER_SECONDS)
        except KafkaException:
            return None
        done: int = sum(max(0, part.offset) for part in answer.topic_partitions)
        return done
