"""What is sent counts as acknowledged before the broker has it."""

from typing import Any

from app.engine.errors import Unavailable
from app.transports.kafka import sender as kafka_sender
from app.transports.redis_streams.failures import translated
from app.transports.redis_streams.scripts import Session
from app.transports.redis_streams.sender import Sender as RedisSender
from tests.faults.defects.defect import Defect
from tests.faults.plan import Event

DEFECT = Defect(
    name="early-acknowledgement",
    what="what is sent counts as acknowledged before the broker has it",
    brokers=("redis", "kafka"),
    moves=(
        Event(0.5, "emit", {"records": 1200, "seed": 5, "rate": 150, "seconds": 8.0}),
        Event(1.5, "net-trouble", {"chance": 0.08, "seconds": 10.0}),
    ),
    seconds=40,
    evidence=r"records are in the topic of",
    length=6.0,
)


def plant() -> None:
    """Redis: send once, and do not look at what became of it. Kafka: acks=0, and no sequence numbers."""
    redis: Any = RedisSender
    redis._append = _append_once
    kafka: Any = kafka_sender
    producer = kafka.AIOKafkaProducer

    def careless(*args: Any, **options: Any) -> Any:
        return producer(*args, **options | {"acks": 0, "enable_idempotence": False})

    kafka.AIOKafkaProducer = careless


async def _append_once(self: Any, topic: str, partition: int, count: int, packed: bytes) -> None:
    session = self._sessions.setdefault((topic, partition), Session(self._server))
    keys = [self._keys.stream(topic, partition), self._keys.offsets(topic, partition), self._keys.sender(self._id)]
    client = session.client
    try:
        with translated("sending"):
            await session.scripts(
                "append", keys, [count, packed, 1 << 40, f"{topic}:{partition}", next(self._numbers), 3600]
            )
    except Unavailable:
        await session.renew(client)
