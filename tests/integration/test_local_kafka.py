"""The local broker that other tests and `make kafka` build on."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, AdminClient, NewTopic
from confluent_kafka.admin import ResourcePatternType as Pattern
from confluent_kafka.admin import ResourceType as Resource

from tools.errors import BrokerError
from tools.kafka_security import Certificates, Security
from tools.local_kafka import LocalKafka, free_port

# The shared broker is not used here; it skips these tests, or fails them in CI, where Java or Maven is missing.
pytestmark = pytest.mark.usefixtures("kafka")

Settings = dict[str, str | int | float | bool]


def create_topic(address: str, topic: str) -> None:
    """Create a topic of one partition."""
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(20)


def topics_of(address: str) -> set[str]:
    """Return the names of the topics."""
    return set(AdminClient({"bootstrap.servers": address}).list_topics(timeout=10).topics)


def send(address: str, topic: str, *values: bytes, **settings: str) -> KafkaError | None:
    """Produce the values and return the first error, or None once the broker has acknowledged all."""
    errors: list[KafkaError] = []
    config: Settings = {"bootstrap.servers": address, "acks": "all", "message.timeout.ms": 5_000, "log_level": 0}
    producer = Producer(config | {key.replace("_", "."): value for key, value in settings.items()})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error) if error else None)
    left = producer.flush(20)
    assert left == 0
    return errors[0] if errors else None


def values_of(address: str, topic: str, count: int) -> list[bytes | None]:
    """Read this many records from the start of the topic."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    records = consumer.consume(count, timeout=20)
    consumer.close()
    return [record.value() for record in records]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker that these tests may stop and kill; each test finds it running."""
    with LocalKafka(tmp_path_factory.mktemp("own")) as own:
        yield own


@pytest.mark.long
def test_what_it_acknowledged_is_there_after_a_kill_and_after_a_stop(broker: LocalKafka) -> None:
    """Records, topics and the address are the same after SIGKILL and after a clean stop."""
    address = broker.bootstrap
    create_topic(address, "kept")
    assert send(address, "kept", b"one") is None

    broker.kill()
    assert broker.pid is None
    broker.restart()
    assert send(address, "kept", b"two") is None

    broker.stop()
    assert broker.pid is None
    broker.restart()
    assert broker.bootstrap == address
    assert values_of(address, "kept", 2) == [b"one", b"two"]


def test_an_unknown_topic_is_not_created_by_itself(broker: LocalKafka) -> None:
    """A misspelt topic is an error, as on a real cluster."""
    error = send(broker.bootstrap, "misspelt", b"x", topic_metadata_propagation_max_ms="0")
    assert error is not None
    assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert "misspelt" not in topics_of(broker.bootstrap)


def test_a_port_in_use_is_a_clear_error(broker: LocalKafka, tmp_path: Path) -> None:
    """A second broker on the same port says so before it writes anything."""
    second = LocalKafka(tmp_path / "second", port=broker.port)
    with pytest.raises(BrokerError, match=rf"127\.0\.0\.1:{broker.port} is in use"):
        second.start()
    assert not (tmp_path / "second").exists()


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The error carries the reason out of the broker's own log or the formatter's words."""
    with pytest.raises(BrokerError, match=r"num\.network\.threads"):
        LocalKafka(tmp_path, properties={"num.network.threads": "none"}).start()


@pytest.mark.long
def test_logins_certificates_and_access_rules_are_those_of_a_real_cluster(tmp_path: Path) -> None:
    """PLAIN, SCRAM and client certificates let in who may, refuse who may not, and ACLs decide on topics."""
    certificates = Certificates.make(tmp_path / "certificates")
    security = Security(
        protocols=("SASL_PLAINTEXT", "SASL_SSL", "SSL"),
        users={"alice": "secret-a", "bob": "secret-b"},
        certificates=certificates,
        client_certificates=True,
        access_rules=True,
    )
    client = {
        "ssl_ca_location": str(certificates.authority),
        "ssl_certificate_location": str(certificates.client),
        "ssl_key_location": str(certificates.client_key),
    }
    with LocalKafka(tmp_path / "broker", security=security) as broker:
        create_topic(broker.bootstrap, "guarded")
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        rules = [
            AclBinding(Resource.TOPIC, "guarded", Pattern.LITERAL, who, "*", AclOperation.ALL, AclPermissionType.ALLOW)
            for who in ("User:alice", "User:orderflow")
        ]
        for done in admin.create_acls(rules).values():
            done.result(10)

        def login(mechanism: str, protocol: str, name: str, password: str) -> KafkaError | None:
            more = client if protocol == "SASL_SSL" else {}
            return send(
                broker.address(protocol),
                "guarded",
                f"{protocol} {mechanism}".encode(),
                security_protocol=protocol,
                sasl_mechanism=mechanism,
                sasl_username=name,
                sasl_password=password,
                **more,
            )

        for mechanism in ("PLAIN", "SCRAM-SHA-256"):
            for protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
                assert login(mechanism, protocol, "alice", "secret-a") is None
        assert send(broker.address("SSL"), "guarded", b"by certificate", security_protocol="SSL", **client) is None

        refused = login("SCRAM-SHA-256", "SASL_PLAINTEXT", "alice", "wrong")
        assert refused is not None
        not_allowed = login("PLAIN", "SASL_PLAINTEXT", "bob", "secret-b")
        assert not_allowed is not None
        assert not_allowed.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        assert len(values_of(broker.bootstrap, "guarded", 5)) == 5


@contextmanager
def development_broker(port: int, data: Path) -> "Iterator[subprocess.Popen[str]]":
    """Run `python -m tools.local_kafka` and wait for the line that names its address."""
    command = [sys.executable, "-m", "tools.local_kafka", "--java", "--port", str(port), "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            seen = next((line for line in process.stdout if "answers at" in line), "it ended early")
            assert f"kafka://127.0.0.1:{port}" in seen
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=40)


@pytest.mark.long
def test_the_development_broker_runs_until_interrupted_and_keeps_its_data(tmp_path: Path) -> None:
    """It prints its address, ends cleanly with exit code 0 on Ctrl-C, and knows its topics the next time."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    with development_broker(port, tmp_path / "data") as first:
        create_topic(address, "survives")
    assert first.returncode == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    with development_broker(port, tmp_path / "data") as second:
        assert "survives" in topics_of(address)
    assert second.returncode == 0
