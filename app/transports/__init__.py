"""Brokers, one package each; a new one is one line here."""

from importlib import import_module
from typing import Any

from app.engine.errors import Inconsistent

_REDIS = "app.transports.redis_streams.transport:RedisTransport"

TRANSPORTS = {
    "embedded": "app.transports.embedded.transport:EmbeddedTransport",
    "redis": _REDIS,
    "rediss": _REDIS,
    "kafka": "app.transports.kafka.transport:KafkaTransport",
}


def transport_for(broker: str) -> type[Any]:
    """Return the Faust transport class for the scheme of `ORDERS_BROKER`; raises `Inconsistent` for an unknown one."""
    scheme, separator, _ = broker.partition("://")
    if not separator or scheme not in TRANSPORTS:
        known = ", ".join(f"{name}://…" for name in TRANSPORTS)
        raise Inconsistent(
            f"ORDERS_BROKER begins with {scheme!r}, which is no broker that is known; write one of {known}"
        )
    module, _, name = TRANSPORTS[scheme].partition(":")
    found: type[Any] = getattr(import_module(module), name)
    return found
