"""Reading one partition from a real broker, with another client as its producer."""

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import kill
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from app.engine.broker import Batch
from app.engine.errors import Inconsistent, Unavailable
from app.transports.kafka.connection import new_client
from app.transports.kafka.reader import EARLIEST, LATEST, PartitionReader, ask_leader, list_offset
from tests.integration.kafka_kit import (
    Seen,
    Transaction,
    committed,
    create_topic,
    delete_records,
    delete_topic,
    numbered,
    produce,
    read_on,
    settings_for,
    written,
)
from tools.local_kafka import LocalKafka

pytestmark = pytest.mark.usefixtures("nothing_forgotten")


@pytest.fixture
def topic(kafka: LocalKafka) -> str:
    """A topic of one partition."""
    name = f"read-{secrets.token_hex(4)}"
    create_topic(kafka, name, max_message_bytes=str(16 << 20))
    return name


@asynccontextmanager
async def reading(
    broker: LocalKafka, topic: str, offset: int = 0, *, patience: float = 10.0, **more: Any
) -> AsyncIterator[PartitionReader]:
    """Open a reader at an offset."""
    client = new_client(settings_for(broker))
    await client.bootstrap()
    reader = PartitionReader(client, topic, 0, offset, patience=patience, **{"wait_ms": 50, **more})
    try:
        yield reader
    finally:
        await reader.close()
        await client.close()


async def read_to(reader: PartitionReader, end: int, slice_: int = 2_000) -> list[Batch]:
    """Read until the position is `end`, and check that the batches follow each other without a gap between them."""
    batches: list[Batch] = []
    at = reader.position
    async with asyncio.timeout(20):
        while reader.position < end:
            batch = await reader.read(slice_)
            assert batch.first_offset == at
            assert batch.next_offset == reader.position >= at
            assert all(at <= record.offset < batch.next_offset for record in batch.records)
            assert len(batch.records) <= slice_
            assert batch.end_offset >= batch.next_offset
            at = batch.next_offset
            batches.append(batch)
    return batches


def seen(batches: list[Batch]) -> list[Seen]:
    """Return what was read in the form of the second client."""
    return [
        Seen(
            record.offset,
            record.key if record.key is None else bytes(record.key),
            record.value if record.value is None else bytes(record.value),
            tuple(record.headers),
            record.timestamp,
        )
        for batch in batches
        for record in batch.records
    ]


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_every_codec_can_be_read(kafka: LocalKafka, topic: str, codec: str) -> None:
    """Keys, values, headers, times and offsets are those that another client reads, whatever packed them."""
    produce(
        kafka,
        topic,
        [*numbered(500, size=100), (None, b"no key"), (b"no value", None), (b"", b"")],
        compression_type=codec,
    )
    produce(kafka, topic, [(b"k", b"v")], headers=[("h", b"\x00\xff"), ("h", "ä")], compression_type=codec)
    async with reading(kafka, topic) as reader:
        batches = await read_to(reader, 504)
    assert seen(batches) == committed(kafka, topic)
    assert {record.timestamp_type for batch in batches for record in batch.records} == {0}


async def test_a_record_larger_than_a_fetch_is_read(kafka: LocalKafka, topic: str) -> None:
    """The size of a fetch is no limit for a record, and compressed ones may be far larger than what was sent."""
    produce(kafka, topic, [(b"a", b"1"), (b"b", bytes(5 << 20)), (b"c", b"3")], message_max_bytes=6 << 20)
    produce(kafka, topic, [(b"d", bytes(30 << 20))], message_max_bytes=64 << 20, compression_type="zstd")
    async with reading(kafka, topic, max_bytes=1000) as reader:
        sizes = [len(value or b"") for _, _, value, *_ in seen(await read_to(reader, 4))]
    assert sizes == [1, 5 << 20, 1, 30 << 20]


async def test_transactions_are_read_as_they_ended(kafka: LocalKafka, topic: str) -> None:
    """Aborted records and markers are passed over, committed ones are read, and an open transaction is waited for."""
    first, second = Transaction(kafka, secrets.token_hex(4)), Transaction(kafka, secrets.token_hex(4))
    produce(kafka, topic, numbered(3, "plain"))
    first.write(topic, numbered(5, "aborted"))
    second.write(topic, numbered(5, "kept"))
    produce(kafka, topic, numbered(3, "between"))
    first.abort()
    first.write(topic, numbered(2, "kept too"))
    second.commit()
    first.commit()
    second.write(topic, numbered(4, "aborted"))
    second.abort()
    first.write(topic, numbered(4, "open"))
    produce(kafka, topic, numbered(3, "behind the open one"))
    whole = written(kafka, topic)[-1].offset + 1
    stable = whole - 7

    for slice_ in (1, 4, 100):
        async with reading(kafka, topic) as reader:
            batches = await read_to(reader, stable, slice_)
            assert seen(batches) == committed(kafka, topic, settle=False)
            assert reader.position == reader.end_offset == stable
            assert not [record for record in seen(batches) if b"aborted" in (record.value or b"")]
            empty = await reader.read(10)
            assert (empty.records, empty.next_offset) == ([], stable)
    first.abort()
    async with reading(kafka, topic, stable) as reader:
        batches = await read_to(reader, whole + 1)
    assert [record.value for record in seen(batches)] == [b"behind the open one%d" % n for n in range(3)]


@pytest.mark.parametrize("offset", range(1, 12))
async def test_an_aborted_transaction_stays_aborted_wherever_reading_starts(
    kafka: LocalKafka, topic: str, offset: int
) -> None:
    """Its records are passed over also when the position lies among them, in small fetches, or at its marker."""
    aborted = Transaction(kafka, secrets.token_hex(4), linger_ms="0", batch_num_messages=1)
    produce(kafka, topic, numbered(2))
    aborted.write(topic, numbered(6, "aborted", size=300))
    aborted.abort()
    aborted.write(topic, numbered(2, "kept"))
    aborted.commit()
    end = written(kafka, topic)[-1].offset + 2
    async with reading(kafka, topic, offset, max_bytes=100) as reader:
        found = seen(await read_to(reader, end))
    assert found == [record for record in committed(kafka, topic) if record.offset >= offset]


@pytest.mark.parametrize("compression", [None, "zstd"])
@pytest.mark.parametrize("slice_", [1, 3, 100])
async def test_a_header_name_that_is_no_text_does_not_stop_the_reader(
    kafka: LocalKafka, topic: str, slice_: int, compression: str | None
) -> None:
    """It is read with replacement characters, as Kafka's own clients do; what is around it is read as ever."""
    produce(kafka, topic, numbered(5), headers=[("h", b"1")])
    await produce_odd_headers(kafka, topic, compression)
    produce(kafka, topic, numbered(5), headers=[("h", b"1")])
    async with reading(kafka, topic) as reader:
        found = seen(await read_to(reader, 15, slice_))
    assert [record.offset for record in found] == list(range(15))
    names = [[name for name, _ in record.headers] for record in found]
    assert names == [["h"]] * 5 + [["h"], ["h", "a\ufffdb", "\u00e4"], ["h"], ["\ufffd"], ["h"]] + [["h"]] * 5
    assert found[6][1:4] == (b"k1", b"v1", (("h", b"1"), ("a\ufffdb", b"\xff"), ("\u00e4", None)))
    assert [record.key for record in found[5:10]] == [b"k%d" % number for number in range(5)]


class Odd(str):
    """A header's name that becomes these bytes."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        """Return something that is no UTF-8."""
        return bytes(super().encode("latin-1"))


async def produce_odd_headers(broker: LocalKafka, topic: str, compression: str | None) -> None:
    """Write five records in one batch, the second and the fourth with such names; no client offers that."""
    names: list[list[tuple[str, bytes | None]]] = [
        [("h", b"1")],
        [("h", b"1"), (Odd("a\xffb"), b"\xff"), ("\u00e4", None)],
        [("h", b"1")],
        [(Odd("\xff"), b"1")],
        [("h", b"1")],
    ]
    builder = _DefaultRecordBatchBuilderPy(
        2,
        compression_type=4 if compression else 0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for number, headers in enumerate(names):
        builder.append(number, None, b"k%d" % number, b"v%d" % number, headers)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        batch = producer.create_batch()
        batch._builder, batch._relative_offset = builder, len(names)
        await (await producer.send_batch(batch, topic, partition=0))


async def test_a_partition_of_nothing_but_markers_comes_to_its_end(kafka: LocalKafka, topic: str) -> None:
    """The position moves on over what is not to be read, or a load of the state would wait for ever."""
    aborted = Transaction(kafka, secrets.token_hex(4))
    for _ in range(3):
        aborted.write(topic, numbered(2))
        aborted.abort()
    async with reading(kafka, topic) as reader:
        assert seen(await read_to(reader, 9)) == []
        assert await list_offset(reader._client, topic, 0, LATEST, 5) == 9


# --- when something is wrong ------------------------------------------------------------------------------------------


async def test_an_offset_that_is_gone_is_an_error_that_says_so(kafka: LocalKafka, topic: str) -> None:
    """Reading below what was deleted, or beyond the end, never goes on silently somewhere else."""
    produce(kafka, topic, numbered(10))
    delete_records(kafka, topic, 5)
    for offset in (0, 4, 11, 1_000):
        async with reading(kafka, topic, offset) as reader:
            with pytest.raises(Inconsistent, match=rf"{topic}\[0\] has no offset {offset} .*deleted.*made anew"):
                await reader.read(10)
    async with reading(kafka, topic) as reader:
        assert await list_offset(reader._client, topic, 0, EARLIEST, 5) == 5


async def test_a_topic_made_anew_while_it_is_read_is_noticed(kafka: LocalKafka, topic: str) -> None:
    """A reader that was further than the new topic goes says that the topic was made anew."""
    produce(kafka, topic, numbered(10))
    async with reading(kafka, topic) as reader:
        await read_to(reader, 10)
        delete_topic(kafka, topic)
        create_topic(kafka, topic)
        produce(kafka, topic, numbered(3))
        with pytest.raises(Inconsistent, match=rf"{topic}\[0\] .*made anew"):
            await read_on(reader.read)


async def test_a_topic_that_vanishes_is_waited_for_as_long_as_patience_lasts(kafka: LocalKafka, topic: str) -> None:
    """After that the error names the partition and what was the matter."""
    async with reading(kafka, topic, patience=1.0) as reader:
        await reader.read(10)
        delete_topic(kafka, topic)
        begin = time.monotonic()
        with pytest.raises(Unavailable, match=rf"{topic}\[0\] \(.*(UnknownTopic|no leader)"):
            await read_on(reader.read)
        assert 0.9 < time.monotonic() - begin < 6


@pytest.mark.long
async def test_a_broker_that_is_away_is_waited_for_as_long_as_patience_lasts(own_broker: LocalKafka) -> None:
    """A dead broker ends in Unavailable that names the partition and the time; a short absence is not noticed."""
    topic = f"away-{secrets.token_hex(4)}"
    create_topic(own_broker, topic)
    produce(own_broker, topic, numbered(3))
    async with (
        reading(own_broker, topic, patience=1.5) as impatient,
        reading(own_broker, topic, patience=40) as patient,
    ):
        await read_to(patient, 3)
        await asyncio.to_thread(own_broker.kill)
        begin = time.monotonic()
        with pytest.raises(Unavailable, match=rf"no answer from Kafka for 2 s .*{topic}\[0\]"):
            await impatient.read(10)
        assert time.monotonic() - begin < 6
        going_on = asyncio.create_task(read_to(patient, 4))
        await asyncio.to_thread(own_broker.restart)
        await asyncio.to_thread(produce, own_broker, topic, numbered(1, "after"))
        assert [record.value for record in seen(await going_on)] == [b"after0"]


@pytest.mark.long
async def test_a_broker_that_hangs_is_given_up_too(own_broker: LocalKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that stays open without an answer is no different from a dead broker."""
    topic = f"hangs-{secrets.token_hex(4)}"
    create_topic(own_broker, topic)
    async with reading(own_broker, topic, patience=1.5) as reader:
        await reader.read(10)
        assert own_broker.pid is not None
        kill(own_broker.pid, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            with pytest.raises(Unavailable, match=rf"{topic}\[0\]"):
                await read_on(reader.read)
            assert time.monotonic() - begin < 6
        finally:
            kill(own_broker.pid, signal.SIGCONT)


async def test_a_compacted_partition_is_read_whole(own_broker: LocalKafka) -> None:
    """Holes, emptied record batches and emptied markers are read over; the newest version of every key is found."""
    topic = f"compacted-{secrets.token_hex(4)}"
    create_topic(
        own_broker,
        topic,
        cleanup_policy="compact",
        segment_ms="300",
        min_cleanable_dirty_ratio="0.01",
        delete_retention_ms="0",
        min_compaction_lag_ms="0",
        max_compaction_lag_ms="300",
    )
    transactions = [Transaction(own_broker, name) for name in "abcd"]
    newest: dict[bytes | None, bytes | None] = {}
    for number in range(12):
        transaction = transactions[number % 3]
        transaction.write(topic, [(b"k%d" % key, b"%d-%d" % (number, key)) for key in range(20)])
        transaction.commit()
    newest = {b"k%d" % key: b"11-%d" % key for key in range(20)}
    transactions[3].write(topic, [(b"k1", b"never"), (b"k99", b"never")])
    transactions[3].abort()
    # A killed owner's transaction is aborted for it, and compaction keeps that marker's batch without its record.
    transactions[2].write(topic, [(b"k1", b"never")])
    transactions.append(Transaction(own_broker, "c"))
    produce(own_broker, topic, [(b"k2", None)])
    newest[b"k2"] = None

    fillers = 0
    async with reading(own_broker, topic) as reader, asyncio.timeout(60):
        while not await holds_an_emptied_marker(reader):
            fillers += 1
            produce(own_broker, topic, [(b"filler", b"%d" % fillers)])  # a segment is closed by a record that follows
            await asyncio.sleep(0.05)
    newest[b"filler"] = b"%d" % fillers
    assert len(written(own_broker, topic)) < 12 * 20 / 3, "it was not compacted"
    async with reading(own_broker, topic) as reader:
        end = await list_offset(reader._client, topic, 0, LATEST, 5)
        for slice_ in (1, 2_000):
            before, after, found = None, committed(own_broker, topic), []
            while before != after:  # compaction goes on, and must not come between the two readers
                before = after
                reader_of_slices = PartitionReader(reader._client, topic, 0, 0, patience=5)
                found = seen(await read_to(reader_of_slices, end, slice_))
                await reader_of_slices.close()
                after = committed(own_broker, topic)
            assert found == after
            latest = {record.key: record.value for record in found}
            assert {key: value for key, value in latest.items() if value is not None} == {
                key: value for key, value in newest.items() if value is not None
            }


async def holds_an_emptied_marker(reader: PartitionReader) -> bool:
    """Whether the first fetch of a topic holds a marker's batch without the marker."""
    topic = reader._tp.topic
    request = FetchRequest(100, 1, 50 << 20, 1, [(topic, [(0, 0, 50 << 20)])])
    answer = await ask_leader(reader._client, reader._tp, request, 5, "looking")
    records = MemoryRecords(answer.topics[0][1][0][-1])
    while records.has_next():
        batch = records.next_batch()
        if batch.is_control_batch and not list(batch):
            return True
    return False
