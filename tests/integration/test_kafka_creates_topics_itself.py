"""A broker that makes every topic it is asked for, as Kafka does unless it is told not to."""

from pathlib import Path

import pytest

from tests.integration.kafka_kit import config_of, provisioned
from tools.local_kafka import LocalKafka


@pytest.mark.long
async def test_topics_get_our_configuration_all_the_same(kafka: LocalKafka, tmp_path: Path) -> None:
    """To look whether a topic is there does not make it, with one partition and without compaction."""
    with LocalKafka(tmp_path, properties={"auto.create.topics.enable": "true"}) as broker:
        _, topics = await provisioned(broker, partitions=3)
        assert config_of(broker, topics.state)["cleanup.policy"] == "compact"
