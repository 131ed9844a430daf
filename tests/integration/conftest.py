"""What integration tests share besides the broker."""

from collections.abc import Iterator

import pytest

from tests.integration.secured_kafka import SecuredKafka, secured_kafka
from tools.local_kafka import LocalKafka


@pytest.fixture(scope="session")
def own_broker(tmp_path_factory: pytest.TempPathFactory, kafka: LocalKafka) -> Iterator[LocalKafka]:
    """A broker that tests may pause and kill; it compacts at once and soon forgets idle transactional ids."""
    properties = {
        "log.cleaner.backoff.ms": "100",
        "transactional.id.expiration.ms": "2000",
        "transaction.remove.expired.transaction.cleanup.interval.ms": "500",
    }
    with LocalKafka(tmp_path_factory.mktemp("own"), properties=properties) as own:
        yield own


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory, kafka: LocalKafka) -> Iterator[SecuredKafka]:
    """A broker with logins, TLS and access rules, for all tests; each takes a user of its own."""
    with secured_kafka(tmp_path_factory.mktemp("secured")) as running:
        yield running
