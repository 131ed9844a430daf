"""A claimed partition on Kafka: its transactional producer, its state, its records.

The producer's transactional id belongs to the partition, so that starting it fences whoever held the partition before.
The source offset is a row of the state topic, written in the transaction of the step it belongs to.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient

from app.engine.broker import Batch, LoadedRows
from app.engine.errors import Fenced, Inconsistent, Refused, Unavailable, Unknown
from app.engine.step import EncodedRows, Output
from app.settings import Settings
from app.topics import Topics
from app.transports.kafka.batches import BATCH_BYTES, LARGE_BYTES, Batches, is_large
from app.transports.kafka.connection import (
    REQUEST_TIMEOUT_MS,
    client_options,
    describe,
    new_client,
    translated,
    wait_for_nodes,
)
from app.transports.kafka.failures import SYMPTOMS, forget_failures, hidden_failure
from app.transports.kafka.produce import encode_in_one_piece
from app.transports.kafka.reader import EARLIEST, LATEST, READ_UNCOMMITTED, OffsetGone, PartitionReader, list_offset
from app.transports.kafka.state_log import read_state
from app.transports.kafka.state_records import OFFSET_KEY, encode_offset, row_prefix

log = logging.getLogger(__name__)

TRANSACTION_TIMEOUT_MS = 15_000
COMMIT_SHARE = 1 / 3
"""How much of the broker time-out a commit may take before the partition is claimed anew, with new connections."""

CLAIM_RETRY_SECONDS = 0.25
CLOSE_SECONDS = 1.0

_FENCED = (
    kafka_errors.ProducerFenced,
    kafka_errors.InvalidProducerEpoch,
    kafka_errors.InvalidProducerIdMapping,
    kafka_errors.OutOfOrderSequenceNumber,
    kafka_errors.InvalidTxnState,
)
_TOO_LARGE = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)


async def claim(settings: Settings, topics: Topics, partition: int) -> "KafkaLease":
    """Claim a partition: from the moment this returns nobody else can commit for it.

    A broker that is away is tried again until the broker time-out; then `Unavailable` is raised.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + settings.broker_timeout
    while True:
        try:
            return await _claim(settings, topics, partition, deadline)
        except Unavailable:
            if loop.time() + CLAIM_RETRY_SECONDS >= deadline:
                raise
        await asyncio.sleep(CLAIM_RETRY_SECONDS)


async def _claim(settings: Settings, topics: Topics, partition: int, deadline: float) -> "KafkaLease":
    # A batch that waits longer than the request time-out fails for good, so it must outlast an outage that we bear.
    options = client_options(settings) | {"request_timeout_ms": int(settings.broker_timeout * 1000) + 5_000}
    producer = AIOKafkaProducer(
        **options,
        transactional_id=f"{topics.state}-{partition}",
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        max_batch_size=BATCH_BYTES,
        max_request_size=64 << 20,
        compression_type=None if settings.kafka_compression == "none" else settings.kafka_compression,
    )
    # … but a server that hangs must not take up all that patience while another one would answer.
    producer.client._request_timeout_ms = REQUEST_TIMEOUT_MS  # noqa: SLF001 - the client knows one time-out for both
    encode_in_one_piece(producer.client)
    wait_for_nodes(producer.client, settings)
    client = new_client(settings)
    lease = KafkaLease(settings, topics, partition, producer, client)
    try:
        with translated(f"claiming partition {partition}"):
            async with asyncio.timeout_at(deadline):
                await producer.start()
                await client.bootstrap()
                await client.set_topics([topics.orders, topics.state])
    except BaseException:
        await lease.release()
        raise
    return lease


class KafkaLease:
    """See `app.engine.broker.Lease`."""

    backlog = None  # Kafka deletes by time and size, whoever has read what

    def __init__(
        self, settings: Settings, topics: Topics, partition: int, producer: AIOKafkaProducer, client: AIOKafkaClient
    ) -> None:
        self.partition = partition
        self._settings = settings
        self._topics = topics
        self._producer = producer
        self._client = client
        self._reader: PartitionReader | None = None
        self._next_offset: int | None = None
        self._batches = Batches(producer)

    @property
    def next_offset(self) -> int:
        """The offset from which to read on."""
        assert self._next_offset is not None, "load comes first"
        return self._next_offset

    async def load(self) -> AsyncIterator[LoadedRows]:
        """Read the partition's state up to where it ended after the claim, then settle where to read on."""
        topic, patience = self._topics.state, self._settings.broker_timeout
        committed: int | None = None
        seen = 0
        async for chunk in read_state(self._client, topic, self.partition, patience, READ_UNCOMMITTED):
            if chunk.next_offset is not None:
                committed = chunk.next_offset
            seen += len(chunk.rows)
            yield LoadedRows(chunk.rows, chunk.done, chunk.total)
        if committed is None and seen:
            raise Inconsistent(
                f"{topic}[{self.partition}] has rows but no offset: it is damaged, or not the state of this application"
            )
        self._next_offset = await self._source_offset(committed)
        self._read_from(self._next_offset)

    def _read_from(self, offset: int) -> None:
        self._reader = PartitionReader(
            self._client, self._topics.orders, self.partition, offset, patience=self._settings.broker_timeout
        )

    async def _source_offset(self, committed: int | None) -> int:
        """Check the committed offset against the source topic as it is now."""
        patience = self._settings.broker_timeout
        name = f"{self._topics.orders}[{self.partition}]"
        first = await list_offset(self._client, self._topics.orders, self.partition, EARLIEST, patience)
        end = await list_offset(self._client, self._topics.orders, self.partition, LATEST, patience)
        if committed is None:
            return first
        if committed > end:
            raise Inconsistent(
                f"{name} ends at offset {end}, but {committed} were counted: the topic was made anew; "
                f"delete {self._topics.state} too, or use another ORDERS_APP_ID"
            )
        if committed < first:
            lost = f"{name}: {first - committed} records were deleted before they were read (retention)"
            if self._settings.on_lost_records == "stop":
                raise Inconsistent(f"{lost}; set ORDERS_ON_LOST_RECORDS=continue to go on without them")
            log.error("%s; going on without them", lost)
            return first
        return committed

    async def read(self, max_records: int) -> Batch:
        """Return the records that follow the last ones read."""
        assert self._reader is not None, "load comes first"
        try:
            return await self._reader.read(max_records)
        except OffsetGone:  # under our feet: the same questions as after a claim
            await self._reader.close()
            self._read_from(await self._source_offset(self._reader.position))
            return await self._reader.read(max_records)

    def write(self, outputs: Sequence[Output]) -> None:
        """Add outputs to the batches of the step under way."""
        batches = self._batches
        for output in outputs:
            key, value, headers = output.key, output.value, output.headers
            append = batches.append_large if is_large(key, value, headers) else batches.append
            append(output.topic, output.partition, key, value, headers, output.timestamp)

    async def commit(self, next_offset: int, rows: EncodedRows, outputs: Sequence[Output]) -> None:
        """Write rows, outputs and the offset in one transaction."""
        self.write(outputs)
        patience = self._settings.broker_timeout * COMMIT_SHARE
        try:
            with translated(f"committing partition {self.partition}"):
                async with asyncio.timeout(patience):
                    await self._transact(next_offset, rows)
        except Unavailable as error:
            raise Unknown(
                f"{error}, for up to {patience:.0f} s; whether it was committed, the next claim tells"
            ) from error
        self._next_offset = next_offset

    async def _transact(self, next_offset: int, rows: EncodedRows) -> None:
        try:
            await self._producer.begin_transaction()
            sent = await self._send(next_offset, rows)
            # A refused batch does not fail its transaction: every single answer is looked at before the commit.
            answers = await asyncio.gather(*(answer for _, answer in sent), return_exceptions=True)
            for (topic, _), answer in zip(sent, answers, strict=True):
                if isinstance(answer, _TOO_LARGE):
                    raise Refused(
                        f"topic {topic} takes no records as large as those of partition {self.partition} "
                        f"({describe(answer)}); raise its max.message.bytes"
                    ) from answer
                if isinstance(answer, kafka_errors.InvalidTimestampError):
                    raise Refused(
                        f"topic {topic} does not take the time of partition {self.partition}'s records "
                        f"({describe(answer)}); set the clock of this machine, or give the topic "
                        "message.timestamp.type=LogAppendTime"
                    ) from answer
                if isinstance(answer, BaseException):
                    raise answer
            await self._producer.commit_transaction()
        except SYMPTOMS as error:
            cause = hidden_failure(self._producer) or error
            if isinstance(cause, _FENCED):
                raise Fenced(
                    f"another worker claimed it, or a transaction took too long ({describe(cause)})"
                ) from error
            if isinstance(cause, kafka_errors.UnknownError):
                # Kafka 4.3 stumbles so when a commit meets the fence of somebody's claim (PREPARE_EPOCH_FENCE).
                raise Unknown(
                    f"the broker has a fault ({describe(cause)}); the next claim tells what is committed"
                ) from error
            if cause is error:
                raise
            raise cause from error

    async def _send(self, next_offset: int, rows: EncodedRows) -> list[tuple[str, "asyncio.Future[Any]"]]:
        batches, self._batches = self._batches, Batches(self._producer)
        state = self._topics.state
        for table, changed in rows:
            prefix = row_prefix(table)
            for key, value in changed:
                append = batches.append if value is None or len(value) <= LARGE_BYTES else batches.append_large
                append(state, self.partition, prefix + key.encode(), value)
        batches.append(state, self.partition, OFFSET_KEY, encode_offset(next_offset))
        return await batches.send()

    async def release(self) -> None:
        """Close everything; an unfinished transaction is left for the next claim to abort."""
        if self._reader is not None:
            await self._reader.close()
        producer = self._producer
        # `stop` does not get to its last parts in time when the broker is away.
        for close in (producer.stop, producer._sender.close, producer.client.close, self._client.close):  # noqa: SLF001
            with contextlib.suppress(kafka_errors.KafkaError, TimeoutError, OSError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await close()
        forget_failures(self._producer)
