"""How addresses and security become the client's options, and how the client's errors become ours."""

from pathlib import Path
from typing import Any

import pytest
from aiokafka import errors as kafka_errors

from app.engine.errors import EngineError, Fenced, Inconsistent, Refused, Unavailable
from app.settings import Settings
from app.transports import transport_for
from app.transports.kafka.connection import bootstrap_servers, client_options, describe, translated
from tools.kafka_security import Certificates


@pytest.mark.parametrize(
    ("broker", "expected"),
    [
        ("kafka://host:9092", ["host:9092"]),
        ("kafka://host", ["host:9092"]),
        ("kafka://a:1;kafka://b:2", ["a:1", "b:2"]),
        ("kafka://a:1;b:2", ["a:1", "b:2"]),
        ("kafka://a:1,b:2", ["a:1", "b:2"]),
        (" kafka://a:1 ; kafka://b/ ", ["a:1", "b:9092"]),
        ("kafka://10.0.0.1:29092/", ["10.0.0.1:29092"]),
        ("kafka://[::1]:9092", ["[::1]:9092"]),
        ("kafka://[::1]", ["[::1]:9092"]),
    ],
)
def test_servers_are_read_from_the_setting(broker: str, expected: list[str]) -> None:
    """Several are separated by semicolons or commas; the port may be left out."""
    assert bootstrap_servers(broker) == expected


@pytest.mark.parametrize("broker", ["", "kafka://", " ; ", "kafka://;kafka://"])
def test_a_setting_without_a_server_is_an_error(broker: str) -> None:
    """It shows what to write."""
    with pytest.raises(Inconsistent, match=r"ORDERS_BROKER.*kafka://host:port"):
        bootstrap_servers(broker)


@pytest.mark.parametrize("broker", ["amqp://x", "localhost:9092", "", "kafka:/x", "://x"])
def test_an_unknown_kind_of_broker_is_an_error(broker: str) -> None:
    """It shows the kinds there are."""
    with pytest.raises(Inconsistent, match=r"ORDERS_BROKER begins with .*kafka://"):
        transport_for(broker)


def options(**settings: Any) -> dict[str, Any]:
    """Return the client's options for these settings."""
    return client_options(Settings(broker="kafka://host:1", **settings))


def test_without_security_no_secret_is_handed_on() -> None:
    """A password that is set for another protocol stays here."""
    made = options(kafka_username="u", kafka_password="p")
    assert made["security_protocol"] == "PLAINTEXT"
    assert not [name for name in made if name.startswith(("sasl", "ssl"))]


def test_a_login_is_handed_on() -> None:
    """With its mechanism."""
    made = options(
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="SCRAM-SHA-256",
        kafka_username="u",
        kafka_password="p",
    )
    assert made["sasl_mechanism"] == "SCRAM-SHA-256"
    assert (made["sasl_plain_username"], made["sasl_plain_password"]) == ("u", "p")
    assert "ssl_context" not in made


@pytest.mark.parametrize("missing", ["kafka_username", "kafka_password"])
def test_half_a_login_is_refused(missing: str) -> None:
    """Both settings are named."""
    login = {"kafka_username": "u", "kafka_password": "p"}
    del login[missing]
    with pytest.raises(Refused, match="ORDERS_KAFKA_USERNAME and ORDERS_KAFKA_PASSWORD"):
        options(kafka_security_protocol="SASL_PLAINTEXT", **login)


def test_tls_checks_the_name_of_the_server(tmp_path: Path) -> None:
    """Anything less would be no protection; with a client's certificate where one is set."""
    made = Certificates.make(tmp_path)
    context = options(
        kafka_security_protocol="SSL",
        kafka_ca_file=made.authority,
        kafka_cert_file=made.client,
        kafka_key_file=made.client_key,
    )["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


@pytest.mark.parametrize("name", ["kafka_ca_file", "kafka_cert_file", "kafka_key_file"])
def test_a_tls_file_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    """With the setting that names it."""
    made = Certificates.make(tmp_path)
    files = {"kafka_ca_file": made.authority, "kafka_cert_file": made.client, "kafka_key_file": made.client_key}
    files[name] = tmp_path / "missing.pem"
    with pytest.raises(Refused, match=rf"ORDERS_{name.upper()}={files[name]}"):
        options(kafka_security_protocol="SSL", **files)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (kafka_errors.TopicAuthorizationFailedError("orders"), Refused),
        (kafka_errors.GroupAuthorizationFailedError("group"), Refused),
        (kafka_errors.TransactionalIdAuthorizationFailed("id"), Refused),
        (kafka_errors.ClusterAuthorizationFailedError(), Refused),
        (kafka_errors.SaslAuthenticationFailed("no"), Refused),
        (kafka_errors.MessageSizeTooLargeError(), Refused),
        (kafka_errors.KafkaConnectionError("closed"), Unavailable),
        (kafka_errors.KafkaTimeoutError(), Unavailable),
        (kafka_errors.NodeNotReadyError(), Unavailable),
        (kafka_errors.RequestTimedOutError(), Unavailable),
        (TimeoutError(), Unavailable),
        (kafka_errors.InvalidTopicError(), EngineError),
        (kafka_errors.IllegalOperation("not in transaction"), EngineError),
    ],
)
def test_errors_of_the_client_become_ours(error: Exception, expected: type[EngineError]) -> None:
    """In one line that says what was being done, with the client's error as the cause."""
    with pytest.raises(EngineError) as raised, translated("counting sheep"):
        raise error
    assert type(raised.value) is expected
    assert "counting sheep" in str(raised.value)
    assert type(error).__name__ in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [Fenced("gone"), Unavailable("away")])
def test_errors_of_ours_pass_as_they_are(error: EngineError) -> None:
    """They have said what was being done already."""
    with pytest.raises(EngineError) as raised, translated("counting sheep"):
        raise error
    assert raised.value is error


def test_errors_that_are_no_brokers_pass_too() -> None:
    """A mistake of ours is not dressed up as one of Kafka's."""
    with pytest.raises(ZeroDivisionError), translated("counting sheep"):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("a\n  b"), "ValueError: a b"),
        (ValueError(), "ValueError"),
        (kafka_errors.KafkaConnectionError("x"), "KafkaConnectionError: x"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_is_described_in_one_short_line(error: Exception, expected: str) -> None:
    """Its kind once, and its text."""
    assert describe(error) == expected
