"""What integration tests share besides the broker."""

import gc
from collections.abc import Iterator

import pytest

from tests.integration.secured_kafka import SecuredKafka, secured_kafka
from tools.local_kafka import LocalKafka


@pytest.fixture
def nothing_forgotten(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test that leaves an error behind which nobody looked at: a worker would log each as a traceback."""
    yield
    gc.collect()
    logged = [record for when in ("setup", "call", "teardown") for record in caplog.get_records(when)]
    left = [record.getMessage() for record in logged if record.name == "asyncio"]
    # Of aiokafka's own making, and out of reach: a produce request under way when its producer is fenced.
    assert not [text for text in left if "Sender._send_produce_req" not in text]


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
