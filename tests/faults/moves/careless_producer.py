"""A producer without sequence numbers that tries again: its records may be in the topic twice, or in another order."""

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from confluent_kafka import KafkaError, Message, Producer

from tests.acceptance.judge_source import Unsure
from tests.contract.brokers.server import Sent, names
from tests.faults.moves.move import KAFKA, Cast, Choice, Move, Track
from tests.faults.moves.sample_records import sample_records

if TYPE_CHECKING:
    from tests.faults.stage import Stage

DELIVERED_SECONDS = 60


class CarelessProducer(Move):
    """It sends through the proxies, and asks all copies for an acknowledgement; what is in the topic counts."""

    name: ClassVar[str] = "careless-producer"
    brokers = KAFKA
    track: ClassVar[Track] = "shop"

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw how many."""
        return {"records": random.randrange(200, 1_500), "seed": random.randrange(1 << 30), "seconds": 4.0}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if some arrived."""
        options: dict[str, Any] = {
            "bootstrap.servers": stage.worker_environment["ORDERS_BROKER"].replace("kafka://", "").replace(";", ","),
            "partitioner": "murmur2_random",
            "enable.idempotence": False,
            "acks": "all",
            "message.timeout.ms": DELIVERED_SECONDS * 1_000,
            "socket.timeout.ms": 2_000,
            "retries": 100,
            "linger.ms": 20,
            "log_level": 0,
        }
        producer = Producer(options)
        topic = names(stage.scene.settings).orders
        delivered: Counter[Sent] = Counter()
        sent = sample_records(choice["records"], choice["seed"])
        for record in sent:

            def done(error: KafkaError | None, _: Message, record: Sent = record) -> None:
                delivered[record] += error is None

            producer.produce(topic, record[1], record[0], on_delivery=done)
            producer.poll(0)
            stage.wait(choice["seconds"] / choice["records"])
        producer.flush(DELIVERED_SECONDS + 5)
        stage.unsure |= {record: Unsure(delivered[record], float("inf")) for record in sent}
        return bool(delivered)
