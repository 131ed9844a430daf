"""How this application connects to Kafka: addresses, security, time-outs; and its errors become ours."""

import asyncio
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.helpers import create_ssl_context

from app.engine.errors import EngineError, Inconsistent, Refused, Unavailable
from app.settings import Settings
from app.transports.kafka.failures import unwrapped

logging.getLogger("aiokafka.conn").setLevel(logging.INFO)  # its debug lines hold every request, passwords too

REQUEST_TIMEOUT_MS = 10_000
RETRY_BACKOFF_MS = 10
"""Short, because a transaction that follows another on its heels is told to try again (CONCURRENT_TRANSACTIONS)."""

NODES_SECONDS = 0.1
"""How often a cluster that names no node is asked again."""

REFUSALS = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.TransactionalIdAuthorizationFailed,
    kafka_errors.AuthenticationFailedError,
    kafka_errors.SaslAuthenticationFailed,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
)


def bootstrap_servers(broker: str) -> list[str]:
    """Return `host:port` of each server in `kafka://host:port;kafka://host:port` (or separated by commas)."""
    servers = []
    for part in broker.replace(",", ";").split(";"):
        address = part.strip().removeprefix("kafka://").rstrip("/")
        if address:
            host, colon, port = address.rpartition(":")
            servers.append(address if colon and port.isdigit() and host else f"{address}:9092")
    if not servers:
        raise Inconsistent("ORDERS_BROKER names no server; write kafka://host:port")
    return servers


def client_options(settings: Settings) -> dict[str, Any]:
    """Return the options that every aiokafka client of this application gets."""
    options: dict[str, Any] = {
        "bootstrap_servers": bootstrap_servers(settings.broker),
        "client_id": settings.app_id,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "retry_backoff_ms": RETRY_BACKOFF_MS,
        "security_protocol": settings.kafka_security_protocol,
        "metadata_max_age_ms": 30_000,
    }
    if "SSL" in settings.kafka_security_protocol:
        options["ssl_context"] = _ssl_context(settings)
    if "SASL" in settings.kafka_security_protocol:
        if settings.kafka_username is None or settings.kafka_password is None:
            raise Refused("ORDERS_KAFKA_USERNAME and ORDERS_KAFKA_PASSWORD are needed with SASL")
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    return options


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    try:
        context: ssl.SSLContext = create_ssl_context(
            cafile=_text(settings.kafka_ca_file),
            certfile=_text(settings.kafka_cert_file),
            keyfile=_text(settings.kafka_key_file),
        )
    except (OSError, ssl.SSLError) as error:
        names = ("kafka_ca_file", "kafka_cert_file", "kafka_key_file")
        given = ", ".join(f"ORDERS_{name.upper()}={path}" for name in names if (path := getattr(settings, name)))
        raise Refused(f"the TLS files cannot be used ({describe(error)}): {given}") from error
    return context


def _text(path: object) -> str | None:
    return None if path is None else str(path)


def new_client(settings: Settings) -> AIOKafkaClient:
    """Return a client that is not connected yet."""
    client = AIOKafkaClient(**client_options(settings))
    wait_for_nodes(client, settings)
    return client


def new_admin(settings: Settings) -> AIOKafkaAdminClient:
    """Return a client for topics that is not started yet."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    wait_for_nodes(admin._client, settings)  # noqa: SLF001 - it hands out nothing of it
    return admin


def wait_for_nodes(client: AIOKafkaClient, settings: Settings) -> None:
    """Let the client's `bootstrap` wait until the cluster names a node.

    A broker that is just starting may answer with none, and the client ends with an AssertionError when it needs one.
    """
    bootstrap = client.bootstrap

    async def bootstrap_until_there_is_a_node() -> None:
        await bootstrap()
        async with asyncio.timeout(settings.broker_timeout):
            while not client.cluster.brokers():
                await asyncio.sleep(NODES_SECONDS)
                await client.force_metadata_update()

    client.bootstrap = bootstrap_until_there_is_a_node


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what Kafka's client raises into the engine's errors; `doing` says what was being done, to what."""
    try:
        with _unwrapping():
            yield
    except EngineError:
        raise
    except REFUSALS as error:
        raise Refused(
            f"Kafka refuses {doing}: {describe(error)}; check the login and the rights (ACLs) of this client"
        ) from error
    except (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError) as error:
        raise Refused(
            f"a record is too large for Kafka while {doing}: {error}; raise max.message.bytes of the topic"
        ) from error
    except (
        TimeoutError,
        kafka_errors.KafkaConnectionError,
        kafka_errors.KafkaTimeoutError,
        kafka_errors.NodeNotReadyError,
    ) as error:
        raise Unavailable(f"Kafka did not answer while {doing}: {describe(error)}") from error
    except (kafka_errors.KafkaError, kafka_errors.IllegalOperation) as error:
        kind = Unavailable if getattr(error, "retriable", False) else EngineError
        raise kind(f"Kafka failed while {doing}: {describe(error)}") from error


@contextmanager
def _unwrapping() -> Iterator[None]:
    """Raise what is inside an error of the client's, where that is another one of its own."""
    try:
        yield
    except kafka_errors.KafkaError as error:
        cause = unwrapped(error)
        if cause is error or not isinstance(cause, kafka_errors.KafkaError):
            raise
        raise cause from error


def describe(error: BaseException) -> str:
    """Return an error as one short line."""
    text, name = " ".join(str(error).split()), type(error).__name__
    return text if name in text else f"{name}: {text}" if text else name
