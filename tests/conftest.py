"""What all tests share: one real Kafka broker per session."""

import os
from collections.abc import Iterator

import pytest

from tools.errors import MissingProgramError
from tools.local_kafka import LocalKafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A running broker for all tests: each takes topics and groups of its own, and none stops or kills it."""
    broker = LocalKafka(tmp_path_factory.mktemp("kafka"))
    try:
        broker.start()
    except MissingProgramError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"NOT TESTED with a real Kafka: {error}")
    yield broker
    broker.stop()
