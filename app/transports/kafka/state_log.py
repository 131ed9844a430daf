"""Reads the state of one partition from its compacted topic, from the beginning to where it ends now."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient

from app.engine.errors import Inconsistent, Unavailable
from app.transports.kafka.reader import EARLIEST, LATEST, PartitionReader, list_offset
from app.transports.kafka.state_records import OFFSET_KEY, decode_offset, split_key

CHUNK_RECORDS = 4_000
FETCH_BYTES = 4 << 20
WAIT_MS = 200


class StateChunk(NamedTuple):
    """Part of a state: rows (table, key, encoded row; None: deleted) and the source offset, if it was among them.

    A row or the offset may come several times: the last one counts. `done` of `total` offsets have been read.
    """

    rows: list[tuple[str, str, bytes | None]]
    next_offset: int | None
    done: int
    total: int


async def read_state(
    client: AIOKafkaClient, topic: str, partition: int, patience: float, up_to: int
) -> AsyncIterator[StateChunk]:
    """Yield the committed state, some at a time.

    `up_to` says where it ends: READ_UNCOMMITTED = at the last record of anybody, which a new owner needs, as nothing
    can be open after its claim; READ_COMMITTED = before the first open transaction, for those who only look.

    Raises:
        Unavailable: the broker does not answer, or a transaction hangs, for `patience` seconds.
        Inconsistent: what is there was not written by this application.
    """
    start = await list_offset(client, topic, partition, EARLIEST, patience)
    end = await list_offset(client, topic, partition, LATEST, patience, up_to)
    reader = PartitionReader(
        client,
        topic,
        partition,
        start,
        patience=patience,
        max_bytes=FETCH_BYTES,
        wait_ms=WAIT_MS if start < end else 0,
        until=end,
    )
    clock = asyncio.get_running_loop()
    progressed_at = clock.time()
    try:
        while True:
            batch = await reader.read(CHUNK_RECORDS)  # of an empty state too, to find out whether we may
            if batch.next_offset > batch.first_offset:
                progressed_at = clock.time()
            elif clock.time() - progressed_at > patience:
                raise Unavailable(
                    f"{topic}[{partition}] cannot be read past offset {reader.position} of {end}: "
                    "a transaction hangs there"
                )
            rows: list[tuple[str, str, bytes | None]] = []
            next_offset: int | None = None
            for record in batch.records:
                if record.offset >= end:
                    break  # another owner's by now: half of its step would be in this chunk
                try:
                    if record.key == OFFSET_KEY:
                        next_offset = decode_offset(record.value)
                    else:
                        rows.append((*split_key(record.key or b""), record.value))
                except ValueError as error:
                    raise Inconsistent(
                        f"{topic}[{partition}] is damaged, or not the state of this application: "
                        f"offset {record.offset}: {error}"
                    ) from error
            yield StateChunk(rows, next_offset, reader.position - start, end - start)
            if reader.position >= end:
                return
    finally:
        await reader.close()
