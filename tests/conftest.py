"""What all tests share: one real server of each broker per session, and a look at what they leave behind."""

import gc
import os
import tempfile
from collections.abc import Iterator

import pytest

from tests.contract.brokers.every import Servers
from tests.contract.brokers.kafka import KafkaServer
from tools.local_kafka import LocalKafka


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let every temporary folder be among those of pytest, which keeps those of its last three runs and no more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("t")))
        yield


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    """Running servers for all tests: each takes topics and groups of its own, and none stops or kills them."""
    base = tmp_path_factory.getbasetemp()
    common = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    running = Servers(tmp_path_factory.mktemp("servers"), common / "common")
    request.config.add_cleanup(running.stop)  # may wait for other processes, which no test's time must be taken for
    return running


@pytest.fixture(scope="session")
def kafka(servers: Servers) -> LocalKafka:
    """The running Kafka."""
    server = servers.get("kafka")
    assert isinstance(server, KafkaServer)
    return server.node


@pytest.fixture
def nothing_forgotten(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test that leaves an error behind which nobody looked at: a worker would log each as a traceback."""
    yield
    gc.collect()
    logged = [record for when in ("setup", "call", "teardown") for record in caplog.get_records(when)]
    left = [record.getMessage() for record in logged if record.name == "asyncio"]
    # Of aiokafka's own making, and out of reach: a produce request under way when its producer is fenced.
    assert not [text for text in left if "Sender._send_produce_req" not in text]
