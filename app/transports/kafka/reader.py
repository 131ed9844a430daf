"""Reads one partition by explicit positions, whole fetches at a time, transactions of others resolved.

aiokafka's consumer makes an object of its own per record and shares one fetch among partitions; a lane needs neither.
Only the client, the protocol and the record parser of aiokafka are used here (its version is pinned for that).
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.structs import TopicPartition

from app.engine.broker import Batch
from app.engine.errors import EngineError, Inconsistent, Refused, Unavailable
from app.transports.kafka.connection import describe
from app.transports.kafka.lenient import batches_of, lenient_batches_of

log = logging.getLogger(__name__)

READ_UNCOMMITTED, READ_COMMITTED = 0, 1
EARLIEST, LATEST = -2, -1
RETRY_SECONDS = 0.1
WARN_AT_TRY = 4
"""Leaders change now and then; that is no news. A broker that is away for longer is."""


class OffsetGone(Inconsistent):
    """The partition has no such offset: its records were deleted, or the topic was made anew."""


class _Fetched(NamedTuple):
    batches: list[Any]
    next_offset: int
    end_offset: int


class PartitionReader:
    """Reads `topic` partition `partition` from `offset` on; only committed records.

    One fetch is always under way while the last one is worked on. `patience` is how many seconds the broker may be
    away before `Unavailable` is raised. From `until` on nothing is fetched ahead: a fetch that waits for records keeps
    every later request of its connection waiting.
    """

    def __init__(
        self,
        client: AIOKafkaClient,
        topic: str,
        partition: int,
        offset: int,
        *,
        patience: float,
        wait_ms: int = 500,
        max_bytes: int = 1 << 20,
        until: int | None = None,
    ) -> None:
        self.position = offset
        self.end_offset = offset
        self._client = client
        self._tp = TopicPartition(topic, partition)
        self._patience = patience
        self._wait_ms = wait_ms
        self._max_bytes = max_bytes
        self._until = until
        self._fetch_offset = offset
        self._batches: deque[Any] = deque()
        self._current: Iterator[Any] | None = None
        self._fetching: asyncio.Task[_Fetched] | None = None
        self._parse = batches_of

    async def read(self, max_records: int) -> Batch:
        """Return what follows, at most `max_records`; an empty batch when nothing came within the wait.

        Cancelling is safe: no record is lost by it.
        """
        first = self.position
        records: list[Any] = []
        if not self._batches:
            if self._fetching is None:
                self._fetching = asyncio.create_task(self._fetch())
            fetched = await asyncio.shield(self._fetching)
            self._fetching = None
            self._parse = batches_of
            self._batches.extend(fetched.batches)
            self._fetch_offset = fetched.next_offset
            self.end_offset = fetched.end_offset
            if not self._batches:
                self.position = fetched.next_offset
            elif self._until is None or self._fetch_offset < self._until:
                self._fetching = asyncio.create_task(self._fetch())
        while self._batches and len(records) < max_records:
            try:
                self._take(records, max_records - len(records))
            except UnicodeDecodeError:  # a header's name that is no text
                self._fetch_again_for_a_lenient_parser(records)
        if not self._batches:
            self.position = self._fetch_offset
        return Batch(records, first, self.position, max(self.end_offset, self.position))

    def _take(self, records: list[Any], wanted: int) -> None:
        """Move up to `wanted` records of the first batch to `records`; drop the batch once it is used up."""
        batch = self._batches[0]
        if self._current is None:
            first = self.position  # a batch may begin before it; and a batch can be iterated once only
            self._current = (record for record in batch if record.offset >= first)
        before = len(records)
        records.extend(islice(self._current, wanted))
        taken = len(records) - before
        if taken < wanted:
            self._batches.popleft()
            self._current = None
            self.position = max(self.position, batch.next_offset)
        else:
            self.position = records[-1].offset + 1

    def _fetch_again_for_a_lenient_parser(self, records: list[Any]) -> None:
        if records:
            self.position = max(self.position, records[-1].offset + 1)
        if self._fetching is not None:
            self._fetching.cancel()
        self._fetching = self._current = None
        self._batches.clear()
        self._fetch_offset = self.position
        self._parse = lenient_batches_of

    async def close(self) -> None:
        """Drop the fetch under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            with contextlib.suppress(asyncio.CancelledError, EngineError):
                await self._fetching
            self._fetching = None

    async def _fetch(self) -> _Fetched:
        offset = self._fetch_offset
        request = FetchRequest(
            self._wait_ms,
            1,
            50 << 20,
            READ_COMMITTED,
            [(self._tp.topic, [(self._tp.partition, offset, self._max_bytes)])],
        )
        answer = await ask_leader(self._client, self._tp, request, self._patience, f"reading {_name(self._tp)}")
        _, error_code, high_watermark, *rest = answer.topics[0][1][0]
        error = kafka_errors.for_code(error_code)
        if error is kafka_errors.OffsetOutOfRangeError:
            raise OffsetGone(
                f"{_name(self._tp)} has no offset {offset} any more: its records were deleted, "
                "or the topic was made anew"
            )
        if error is not kafka_errors.NoError:
            raise EngineError(f"Kafka failed while reading {_name(self._tp)}: {error.__name__}")
        last_stable, aborted = rest[0], rest[2] if answer.API_VERSION >= 5 else rest[1]
        batches, next_offset = _committed_batches(self._parse(rest[-1]), aborted, offset, self._tp)
        return _Fetched(batches, next_offset, last_stable if last_stable >= 0 else high_watermark)


def _committed_batches(
    fetched: Iterator[Any], aborted: list[tuple[int, int]] | None, offset: int, tp: TopicPartition
) -> tuple[list[Any], int]:
    """Return the batches that hold records of finished or no transactions, and where to fetch on."""
    to_abort = sorted(aborted or [], key=lambda entry: entry[1])
    aborting: set[int] = set()
    batches = []
    for batch in fetched:
        if not batch.validate_crc():
            raise EngineError(f"{_name(tp)}: the record batch at offset {batch.base_offset} is corrupt (CRC)")
        while to_abort and to_abort[0][1] <= batch.base_offset:
            aborting.add(to_abort.pop(0)[0])
        offset = max(offset, batch.next_offset)
        if batch.is_control_batch:
            marker = next(batch, None)  # compaction may have emptied the batch
            if marker is not None and ControlRecord.parse(marker.key) == ABORT_MARKER:
                aborting.discard(batch.producer_id)
        elif not (batch.is_transactional and batch.producer_id in aborting):
            batches.append(batch)
    return batches, offset


async def list_offset(
    client: AIOKafkaClient, topic: str, partition: int, which: int, patience: float, isolation: int = READ_UNCOMMITTED
) -> int:
    """Return the first (`EARLIEST`) offset of a partition, or the one after its last (`LATEST`).

    With `READ_COMMITTED` that is the last stable one: what follows it belongs to transactions that are still open.
    """
    tp = TopicPartition(topic, partition)
    request = OffsetRequest(-1, isolation, [(topic, [(partition, which)])])
    doing = f"asking for the offsets of {_name(tp)}"
    answer = await ask_leader(client, tp, request, patience, doing)
    _, error_code, *rest = answer.topics[0][1][0]
    error = kafka_errors.for_code(error_code)
    if error is not kafka_errors.NoError:
        raise EngineError(f"Kafka failed while {doing}: {error.__name__}")
    offset: int = rest[1]
    return offset


async def ask_leader(client: AIOKafkaClient, tp: TopicPartition, request: Any, patience: float, doing: str) -> Any:
    """Send a request about one partition to its leader; try again while the broker is away, for `patience` seconds."""
    last = "no answer"
    tries = 0
    try:
        async with asyncio.timeout(patience):
            while True:
                tries += 1
                if tries == WARN_AT_TRY:
                    log.warning("Kafka does not answer while %s (%s); trying for %.0f s", doing, last, patience)
                leader = client.cluster.leader_for_partition(tp)
                if leader is None or leader == -1:
                    last = "the partition has no leader"
                else:
                    try:
                        answer = await client.send(leader, request)
                    except kafka_errors.KafkaError as failure:
                        last = describe(failure)
                    else:
                        error = kafka_errors.for_code(answer.topics[0][1][0][1])
                        if error is kafka_errors.TopicAuthorizationFailedError:
                            raise Refused(
                                f"Kafka refuses {doing}: this client lacks the right (ACL) to read topic {tp.topic}"
                            )
                        if not error.invalid_metadata and not error.retriable:
                            if tries >= WARN_AT_TRY:
                                log.warning("Kafka answers again while %s", doing)
                            return answer
                        last = error.__name__
                await asyncio.sleep(RETRY_SECONDS)
                client.add_topic(tp.topic)
                await client.force_metadata_update()
    except TimeoutError as timeout:
        raise Unavailable(f"no answer from Kafka for {patience:.0f} s while {doing} ({last})") from timeout


def _name(tp: TopicPartition) -> str:
    return f"{tp.topic}[{tp.partition}]"
