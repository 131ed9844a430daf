"""What all tests share: one real server of each broker per session."""

from collections.abc import Iterator

import pytest

from tests.contract.brokers.every import Servers
from tests.contract.brokers.kafka import KafkaServer
from tools.local_kafka import LocalKafka


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Running servers for all tests: each takes topics and groups of its own, and none stops or kills them."""
    running = Servers(tmp_path_factory.mktemp("servers"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def kafka(servers: Servers) -> LocalKafka:
    """The running Kafka."""
    server = servers.get("kafka")
    assert isinstance(server, KafkaServer)
    return server.node
