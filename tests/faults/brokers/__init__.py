"""The brokers that faults are played on; a new one is a file of its own and a line here."""

from tests.faults.brokers.embedded import EmbeddedTarget
from tests.faults.brokers.kafka import KafkaTarget, ThreeNodesTarget
from tests.faults.brokers.redis import RedisTarget
from tests.faults.brokers.target import Target

TARGETS: dict[str, type[Target]] = {
    target.name: target for target in (EmbeddedTarget, RedisTarget, KafkaTarget, ThreeNodesTarget)
}
