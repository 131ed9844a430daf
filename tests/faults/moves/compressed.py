"""Producers that compress, each in another way, send beside the shop."""

from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from confluent_kafka import Producer

from tests.contract.brokers.server import names
from tests.faults.moves.move import KAFKA, Cast, Choice, Move, Track
from tests.faults.moves.sample_records import sample_records

if TYPE_CHECKING:
    from tests.faults.stage import Stage

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
DELIVERED_SECONDS = 90


class Compressed(Move):
    """One producer for each codec, their records between each other's."""

    name: ClassVar[str] = "compressed"
    brokers = KAFKA
    track: ClassVar[Track] = "shop"

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw how many."""
        return {"records": random.randrange(200, 2_000), "seed": random.randrange(1 << 30), "seconds": 2.0}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if all of them arrived."""
        options: dict[str, Any] = {
            "bootstrap.servers": stage.scene.settings.broker.replace("kafka://", ""),
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 20,
            "log_level": 2,
        }
        producers = [Producer(options | {"compression.type": codec}) for codec in CODECS]
        topic = names(stage.scene.settings).orders
        records = sample_records(choice["records"], choice["seed"])
        for number, (key, event, _) in enumerate(records):
            producers[number % len(producers)].produce(topic, event, key)
        return stage.sent(records, len(records) - sum(producer.flush(DELIVERED_SECONDS) for producer in producers))
