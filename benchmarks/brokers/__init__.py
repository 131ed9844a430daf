"""The brokers that candidates run on. A broker is one class, and one line here."""

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.brokers.broker import Broker
from benchmarks.brokers.embedded import Embedded
from benchmarks.brokers.kafka import Kafka
from benchmarks.brokers.redis_server import RedisServer

BROKERS: Mapping[str, type[Broker]] = MappingProxyType({"kafka": Kafka, "redis": RedisServer, "embedded": Embedded})
"""By the name that candidates use."""

SIDES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"kafka": ("kafka",), "redis": ("redis", "embedded"), "embedded": ("embedded",)}
)
"""By the value of --broker: the brokers whose candidates run side by side."""
"""The tables of one side are about the candidates of these brokers, and compare them with each other."""
