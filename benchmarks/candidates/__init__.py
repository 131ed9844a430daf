"""All candidates. One more is a class of its own, and one line here."""

from benchmarks.candidates.candidate import Candidate
from benchmarks.candidates.kafka_python import QuixStreams, StockFaust
from benchmarks.candidates.kafka_streams import KafkaStreams
from benchmarks.candidates.on_redis import OnRedis
from benchmarks.candidates.orderflow import Orderflow
from benchmarks.peers.celery_peer import CeleryPeer
from benchmarks.peers.dramatiq_peer import DramatiqPeer
from benchmarks.peers.faststream_peer import FaststreamPeer
from benchmarks.peers.kafka_streams.build import STREAMS_VERSION
from benchmarks.peers.redis_loop import RedisLoop
from benchmarks.peers.rq_peer import RqPeer

ORDERFLOW: tuple[Orderflow, ...] = (
    Orderflow("kafka", "Orderflow on Kafka, exactly once", reference=True),
    Orderflow("redis", "Orderflow on Redis, exactly once, fsync everysec", fsync="everysec", reference=True),
    Orderflow("redis", "Orderflow on Redis, exactly once, fsync always", fsync="always"),
    Orderflow("embedded", "Orderflow embedded, exactly once, fsync always"),
)
"""Orderflow on each broker."""

CANDIDATES: tuple[Candidate, ...] = (
    *ORDERFLOW,
    KafkaStreams("kafka-streams-eos", f"Kafka Streams {STREAMS_VERSION}, exactly once v2", "exactly_once_v2", {}, ""),
    KafkaStreams(
        "kafka-streams-alos",
        f"Kafka Streams {STREAMS_VERSION}, at least once",
        "at_least_once",
        {"commit.interval.ms": "1000"},
        "Kafka Streams at least once: commit.interval.ms 1 s, not 30, so that its progress shows",
    ),
    QuixStreams(),
    StockFaust(),
    OnRedis("redis-loop", RedisLoop(), "redis"),
    OnRedis("celery", CeleryPeer(), "celery"),
    OnRedis("rq", RqPeer(), "rq"),
    OnRedis("dramatiq", DramatiqPeer(), "dramatiq"),
    OnRedis("faststream", FaststreamPeer(), "faststream"),
)
