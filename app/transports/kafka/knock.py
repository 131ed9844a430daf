"""Knocks at Kafka's door and says why it stays shut. aiokafka's own first contact keeps the reason to its log."""

import asyncio
import ssl
from typing import Any

from aiokafka import errors as kafka_errors
from aiokafka.conn import create_conn
from aiokafka.protocol.metadata import MetadataRequest

from app.engine.errors import Refused, Unavailable
from app.settings import Settings
from app.transports.kafka.connection import REFUSALS, client_options, describe


async def knock(settings: Settings, seconds: float) -> None:
    """Return once one of the servers has answered a request; each gets its share of `seconds`.

    Raises `Refused` where trying again would not help (login, certificate), else `Unavailable` with what each one said.
    """
    options = client_options(settings)
    servers = options.pop("bootstrap_servers")
    for unwanted in ("metadata_max_age_ms", "retry_backoff_ms"):
        options.pop(unwanted)
    faults = []
    for address in servers:
        try:
            async with asyncio.timeout(seconds / len(servers)):
                await _ask(address, options)
        except (OSError, kafka_errors.KafkaError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
            refusal = _refusal(cause, address, settings)
            if refusal is not None:
                raise refusal from error
            faults.append(_explained(cause) if len(servers) == 1 else f"{address}: {_explained(cause)}")
        else:
            return
    raise Unavailable("; ".join(faults))


async def _ask(address: str, options: dict[str, Any]) -> None:
    host, _, port = address.rpartition(":")
    connection = await create_conn(host.strip("[]"), int(port), **options)
    try:
        await connection.send(MetadataRequest([]))
    finally:
        connection.close()


def _refusal(error: BaseException, address: str, settings: Settings) -> Refused | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Refused(
            f"the certificate of Kafka at {address} is not trusted ({error.verify_message}); check ORDERS_KAFKA_CA_FILE"
        )
    if isinstance(error, ssl.SSLError):
        return Refused(
            f"no TLS with Kafka at {address} ({error.reason}); "
            "check ORDERS_KAFKA_SECURITY_PROTOCOL, ORDERS_KAFKA_CERT_FILE and ORDERS_KAFKA_KEY_FILE"
        )
    if isinstance(error, kafka_errors.UnsupportedSaslMechanismError):
        return Refused(
            f"Kafka at {address} offers no login by {settings.kafka_sasl_mechanism}; check ORDERS_KAFKA_SASL_MECHANISM"
        )
    if isinstance(error, REFUSALS):
        return Refused(
            f"Kafka at {address} refuses the login of {settings.kafka_username} ({describe(error)}); "
            "check ORDERS_KAFKA_USERNAME, ORDERS_KAFKA_PASSWORD and ORDERS_KAFKA_SASL_MECHANISM"
        )
    return None


def _explained(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, (kafka_errors.KafkaConnectionError, ConnectionResetError)):
        return f"{describe(error)}; is ORDERS_KAFKA_SECURITY_PROTOCOL right?"
    return describe(error)
