"""The configuration of a local broker: one KRaft node that is small, starts fast and still behaves like a real one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

INTERNAL = "PLAINTEXT"
CONTROLLER = "CONTROLLER"


class Listener(NamedTuple):
    """One address of the broker. `protocol` is Kafka's: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""

    name: str
    protocol: str
    port: int


def broker_properties(
    data: str,
    listeners: Sequence[Listener],
    controller_port: int,
    extra: Mapping[str, str] | None = None,
    *,
    bind: str = "127.0.0.1",
) -> dict[str, str]:
    """Return the properties of a node that is broker and controller in one, with its log segments in `data`.

    The first listener is also the one between brokers. `bind` is the interface to listen on; clients are always told
    127.0.0.1. `extra` wins over everything else.
    """
    control = Listener(CONTROLLER, "PLAINTEXT", controller_port)
    every = (*listeners, control)
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": CONTROLLER,
        "listeners": ",".join(
            f"{name}://{'127.0.0.1' if name == CONTROLLER else bind}:{port}" for name, _, port in every
        ),
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, _, port in listeners),
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol, _ in every),
        "inter.broker.listener.name": listeners[0].name,
        "log.dirs": data,
        # A misspelt topic must be an error, not a new topic.
        "auto.create.topics.enable": "false",
        # One node, so one copy of everything.
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # Fewer partitions start faster: the defaults are 50 each.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        # No waiting for more members of a group, and a dead producer's transaction ends soon after its time-out.
        "group.initial.rebalance.delay.ms": "0",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # A killed broker may come back only when its former self has timed out: 3 s, not 9.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }
    return properties | dict(extra or {})


def as_text(properties: Mapping[str, str]) -> str:
    """Return the properties in the form of a Java properties file (values are escaped)."""
    return "".join(f"{key}={_escaped(value)}\n" for key, value in properties.items())


def as_environment(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the properties in the form that the apache/kafka image reads."""
    return {
        "KAFKA_" + key.replace("_", "__").replace("-", "___").replace(".", "_").upper(): value
        for key, value in properties.items()
    }


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
