"""What the tests of the Kafka transport share: settings, topics of a test's own, a second client to write and look.

The second client is confluent-kafka, which shares no code with ours.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from app.engine.broker import Batch
from app.settings import Settings
from app.topics import Topics, topics_for
from app.transports.kafka.lease import KafkaLease, claim
from app.transports.kafka.provision import ensure_topics
from tools.local_kafka import LocalKafka

READ_COMMITTED, READ_UNCOMMITTED = "read_committed", "read_uncommitted"

Config = dict[str, Any]


class Seen(NamedTuple):
    """A record as the second client sees it."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int = 0


def settings_for(broker: LocalKafka, **more: Any) -> Settings:
    """Return settings with a topic prefix of their own, so that tests never meet each other's topics or groups."""
    own = secrets.token_hex(4)
    return Settings(
        **{
            "broker": broker.url,
            "app_id": f"app-{own}",
            "topic_prefix": f"{own}.",
            "partitions": 1,
            "broker_timeout": 10.0,
            **more,
        }
    )


def names(settings: Settings) -> Topics:
    """Return the names of the topics of these settings."""
    return topics_for(settings.topic_prefix, settings.app_id)


async def provisioned(broker: LocalKafka, **more: Any) -> tuple[Settings, Topics]:
    """Return settings whose topics are there."""
    settings = settings_for(broker, **more)
    topics = names(settings)
    await ensure_topics(settings, topics)
    return settings, topics


def create_topic(broker: LocalKafka, topic: str, partitions: int = 1, **config: str) -> None:
    """Create a topic; `config` has underscores for dots."""
    new = NewTopic(topic, partitions, config={key.replace("_", "."): value for key, value in config.items()})
    client = admin(broker)  # a client that is forgotten takes its answers with it
    client.create_topics([new])[topic].result(20)


def delete_topic(broker: LocalKafka, topic: str) -> None:
    """Delete a topic."""
    client = admin(broker)
    client.delete_topics([topic])[topic].result(20)


def admin(broker: LocalKafka) -> AdminClient:
    """Return an administrator of the broker."""
    return AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})


def delete_records(broker: LocalKafka, topic: str, before: int, partition: int = 0) -> None:
    """Delete the records below offset `before`, as retention does."""
    target = TopicPartition(topic, partition, before)
    client = admin(broker)
    client.delete_records([target])[target].result(20)


def produce(
    broker: LocalKafka,
    topic: str,
    records: Iterable[tuple[bytes | None, bytes | None]],
    partition: int = 0,
    headers: list[tuple[str, str | bytes | None]] | None = None,
    **config: Any,
) -> None:
    """Write (key, value) records with the second client and wait until the broker has them."""
    failures: list[KafkaError] = []
    more = {key.replace("_", "."): value for key, value in config.items()}
    settings: Config = {"bootstrap.servers": broker.bootstrap, "log_level": 0, "linger.ms": 5}
    settings["enable.idempotence"] = True  # or batches that are sent again change places
    producer = Producer(settings | more)
    for key, value in records:
        producer.produce(
            topic,
            value,
            key,
            partition,
            headers=headers,
            on_delivery=lambda error, _: failures.append(error) if error else None,
        )
    assert producer.flush(20) == 0
    assert not failures, failures


class Transaction:
    """A transaction by the second client: `begin`, `send`, then `commit` or `abort` (or neither)."""

    def __init__(self, broker: LocalKafka, transactional_id: str, **config: Any) -> None:
        more = {key.replace("_", "."): value for key, value in config.items()}
        settings: Config = {
            "bootstrap.servers": broker.bootstrap,
            "transactional.id": transactional_id,
            "log_level": 0,
            "linger.ms": 5,
        }
        self.producer = Producer(settings | more)
        self.producer.init_transactions(20)

    def write(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None]], partition: int = 0) -> None:
        """Write records within a transaction that stays open."""
        self.producer.begin_transaction()
        for key, value in records:
            self.producer.produce(topic, value, key, partition)
        assert self.producer.flush(20) == 0

    def commit(self) -> None:
        """Commit."""
        self.producer.commit_transaction(20)

    def abort(self) -> None:
        """Abort."""
        self.producer.abort_transaction(20)


def committed(broker: LocalKafka, topic: str, partition: int = 0, *, settle: bool = True) -> list[Seen]:
    """Return all records that a reader in `read_committed` sees.

    A commit is answered before its markers are written: `settle` waits a little for transactions that are ending.
    """
    if settle:
        _settle(broker, TopicPartition(topic, partition))
    return _read(broker, topic, partition, READ_COMMITTED)


def written(broker: LocalKafka, topic: str, partition: int = 0) -> list[Seen]:
    """Return all records that are in the log, those of unfinished and aborted transactions too."""
    return _read(broker, topic, partition, READ_UNCOMMITTED)


def table_of(broker: LocalKafka, topic: str, partition: int = 0) -> dict[bytes, bytes]:
    """Return the newest value per key as committed: what anybody who loads the topic ends up with."""
    rows: dict[bytes, bytes] = {}
    for _, key, value, *_ in committed(broker, topic, partition):
        assert key is not None
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value
    return rows


def _settle(broker: LocalKafka, partition: TopicPartition) -> None:
    client = admin(broker)
    spec = {partition: OffsetSpec.latest()}  # type: ignore[no-untyped-call]
    for _ in range(40):
        ends = {
            client.list_offsets(spec, isolation_level=level)[partition].result(10).offset
            for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
        }
        if len(ends) == 1:
            return
        time.sleep(0.025)


def _read(broker: LocalKafka, topic: str, partition: int, isolation: str) -> list[Seen]:
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "look",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "fetch.message.max.bytes": 64 << 20,
            "receive.message.max.bytes": 1_000_000_000,
            "fetch.wait.max.ms": 20,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0)])
    records: list[Seen] = []
    try:
        while True:
            record = consumer.poll(10)
            assert record is not None, f"{topic}[{partition}] gave nothing for 10 s"
            error = record.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    return records
                if error.code() == KafkaError._AUTO_OFFSET_RESET or error.code() == KafkaError.OFFSET_OUT_OF_RANGE:
                    continue
                raise AssertionError(error)
            offset = record.offset()
            assert offset is not None
            headers: Any = tuple(record.headers() or ())
            records.append(Seen(offset, record.key(), record.value(), headers, record.timestamp()[1]))
    finally:
        consumer.close()


@asynccontextmanager
async def holding(settings: Settings, partition: int = 0, *, load: bool = True) -> AsyncIterator[KafkaLease]:
    """Claim a partition, load its state, and release it at the end."""
    lease = await claim(settings, names(settings), partition)
    try:
        if load:
            await loaded(lease)
        yield lease
    finally:
        await lease.release()


async def loaded(lease: KafkaLease) -> dict[tuple[str, str], bytes]:
    """Load a lease's state and return its rows by (table, key), deleted ones taken out."""
    rows: dict[tuple[str, str], bytes] = {}
    async for chunk in lease.load():
        for table, key, value in chunk.rows:
            if value is None:
                rows.pop((table, key), None)
            else:
                rows[table, key] = value
    return rows


async def read_until(
    read: Callable[[int], Any], enough: Callable[[Sequence[Any]], bool], *, slice_: int = 2_000, seconds: float = 20.0
) -> list[Batch]:
    """Read batches until their records, all together, are enough."""
    batches: list[Batch] = []
    async with asyncio.timeout(seconds):
        while not enough([record for batch in batches for record in batch.records]):
            batch = await read(slice_)
            batches.append(batch)
    return batches


async def read_on(read: Callable[[int], Any], seconds: float = 20.0) -> None:
    """Read until that raises."""
    async with asyncio.timeout(seconds):
        while True:
            await read(100)


async def until(condition: Callable[[], Any], seconds: float = 20.0, what: str = "the condition") -> Any:
    """Wait for a condition, looking again and again; returns what it gave."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert loop.time() < deadline, f"{what} did not come true within {seconds:.0f} s"
        await asyncio.sleep(0.02)


def numbered(count: int, prefix: str = "v", size: int = 0) -> list[tuple[bytes | None, bytes | None]]:
    """Return records (key, value) with numbered values of at least `size` bytes."""
    return [(b"k%d" % (n % 7), f"{prefix}{n}".encode().ljust(size, b".")) for n in range(count)]


def config_of(broker: LocalKafka, topic: str) -> Mapping[str, str]:
    """Return the configuration of a topic."""
    from confluent_kafka.admin import ConfigResource  # noqa: PLC0415 - only this function needs it

    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    client = admin(broker)
    answer = client.describe_configs([resource])[resource].result(20)
    return {name: entry.value for name, entry in answer.items()}
