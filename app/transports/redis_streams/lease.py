"""A claimed partition on Redis: its token, its state, its records. One connection serves all of it.

Every commit names the token of its claim and the offset that it goes on from; the server refuses it if either is no
longer so. What was committed when a connection breaks is not known here, so the partition is claimed anew then.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from itertools import groupby, islice
from operator import attrgetter
from typing import Any

import msgpack

from app.engine.broker import Batch, LoadedRows
from app.engine.errors import Fenced, Inconsistent, Unavailable, Unknown
from app.engine.step import EncodedRows, Output
from app.settings import Settings
from app.topics import Topics
from app.transports.redis_streams.connection import ANSWER_SHARE, Client
from app.transports.redis_streams.entries import Packer, StreamRecord, unpack
from app.transports.redis_streams.failures import translated
from app.transports.redis_streams.keys import Keys
from app.transports.redis_streams.scripts import Scripts
from app.transports.redis_streams.state import scan_rows

log = logging.getLogger(__name__)

BLOCK_MS = 1_000
LINGER_SECONDS = 0.005
FEW_RECORDS = 64
"""Fewer than this are waited for a little longer: a step costs nearly the same with one record and with many."""

READ_BYTES = 2 << 20
MOST_ENTRIES = 2_000
FIRST_ENTRIES = 16
ROWS_AT_ONCE = 5_000
GROUP = b"group:"
"""What the fields of committed offsets begin with, one for each group that reads a partition."""

RELEASE_SECONDS = 1.0


class RedisLease:
    """See `app.engine.broker.Lease`."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        topics: Topics,
        keys: Keys,
        partition: int,
        worker: str,
        claimed: Sequence[int],
    ) -> None:
        self.partition = partition
        self._client = client
        self._scripts = Scripts(client)
        self._settings = settings
        self._topics = topics
        self._keys = keys
        self._worker = worker
        self._token, committed, self._first, self._end, self._row_count = claimed
        self._next_offset = committed
        self._position = committed
        self._stream = keys.stream(topics.orders, partition)
        self._ready: deque[StreamRecord] = deque()
        self._block_ms: int | None = None  # the first answer is wanted at once: it tells where the partition ends
        self._entry_bytes = READ_BYTES / FIRST_ENTRIES
        self._outputs: dict[tuple[str, int], Packer] = {}
        self.backlog: tuple[int, int] | None = None
        self._keep = {
            topics.orders: -1,  # a partition's own owner trims it
            topics.order_updates: settings.redis_retain,
            topics.dead_letters: -1,
        }

    @property
    def next_offset(self) -> int:
        """The offset from which to read on."""
        return self._next_offset

    async def load(self) -> AsyncIterator[LoadedRows]:
        """Read the partition's rows, then settle where to read on."""
        done = 0
        with self._doing("loading the state of"):
            async for rows in scan_rows(self._client, self._keys.state(self.partition)):
                done += len(rows)
                yield LoadedRows(rows, done, max(done, self._row_count))
            token = await self._client.hget(self._keys.lease(self.partition), "token")
        if token is None or int(token) != self._token:
            raise Fenced("another worker claimed it while its state was being read, and may have changed half of it")
        self._settle()

    def _settle(self) -> None:
        """Check the committed offset against the source as it is."""
        name = f"{self._topics.orders}[{self.partition}]"
        if self._next_offset > self._end:
            raise Inconsistent(
                f"{name} ends at offset {self._end}, but {self._next_offset} were counted: the topic was deleted; "
                f"delete {self._keys.state(self.partition)} and the like too, or use another ORDERS_APP_ID"
            )
        if self._next_offset < self._first:
            self._lost(self._first - self._next_offset)
            self._position = self._first

    def _lost(self, records: int) -> None:
        """Say that records are gone; raises `Inconsistent` unless it is set that this is no reason to stop."""
        lost = (
            f"{self._topics.orders}[{self.partition}]: {records} records at offset {self._position} were deleted "
            "before they were read"
        )
        if self._settings.on_lost_records == "stop":
            raise Inconsistent(f"{lost}; set ORDERS_ON_LOST_RECORDS=continue to go on without them")
        log.error("%s; going on without them", lost)

    async def read(self, max_records: int) -> Batch:
        """Return the records that follow the last ones read, waiting up to a second for some."""
        if not self._ready:
            await self._fetch(self._block_ms)
            self._block_ms = min(BLOCK_MS, int(self._settings.broker_timeout * ANSWER_SHARE * 500))
            if 0 < len(self._ready) < FEW_RECORDS:
                await asyncio.sleep(LINGER_SECONDS)
                await self._fetch(None)
        if not self._ready:
            return Batch((), self._position, self._position, self._end)
        records = list(islice(self._ready, max_records))
        if len(records) == len(self._ready):
            self._ready.clear()
        else:
            for _ in records:
                self._ready.popleft()
        next_offset = records[-1].offset + 1
        return Batch(records, records[0].offset, next_offset, max(self._end, next_offset))

    async def _fetch(self, block_ms: int | None) -> None:
        """Add what there is after the last record fetched; `block_ms` None = do not wait for it."""
        count = max(1, min(MOST_ENTRIES, int(READ_BYTES / self._entry_bytes)))
        with self._doing("reading"):
            found: Any = await self._client.xread({self._stream: f"0-{self._position}"}, count, block_ms)
            entries = found[0][1] if found else ()
            if len(entries) == count or not (entries or self._ready):
                offsets = await self._client.hgetall(self._keys.offsets(self._topics.orders, self.partition))
                self._end = int(offsets.get(b"end", 0))
                slowest = min((int(at) for name, at in offsets.items() if name.startswith(GROUP)), default=self._end)
                self.backlog = (self._end - slowest, self._settings.redis_max_backlog)
        if self._end < self._position and not entries:
            raise Unknown(f"it ends at offset {self._end} now, and was read up to {self._position}; claiming it again")
        for entry_id, fields in entries:
            try:
                records = unpack(fields[b"r"], int(entry_id.removeprefix(b"0-")) - int(fields[b"n"]))
            except (KeyError, ValueError, TypeError) as error:
                raise Inconsistent(
                    f"the entry {entry_id.decode()} of {self._stream} is none of ours: something else wrote it; "
                    f"remove it (XDEL {self._stream} {entry_id.decode()})"
                ) from error
            self._entry_bytes = 0.9 * self._entry_bytes + 0.1 * len(fields[b"r"])
            self._take(records)
        if entries and len(entries) < count:
            self._end = self._position

    def _take(self, records: Sequence[StreamRecord]) -> None:
        missed = records[0].offset - self._position
        if missed > 0:
            self._lost(missed)
        self._ready.extend(records[-missed:] if missed < 0 else records)
        self._position = records[-1].offset + 1

    def write(self, outputs: Sequence[Output]) -> None:
        """Pack outputs of the step under way."""
        packers = self._outputs
        for target, same in groupby(outputs, attrgetter("topic", "partition")):  # nearly all go to one and the same
            packer = packers.get(target)
            if packer is None:
                packer = packers[target] = Packer()
            packer.extend(list(same))

    async def commit(self, next_offset: int, rows: EncodedRows, outputs: Sequence[Output]) -> None:
        """Write rows, outputs and the offset in one script."""
        self.write(outputs)
        keys, topics = self._keys, self._topics
        names = [
            keys.lease(self.partition),
            keys.offsets(topics.orders, self.partition),
            self._stream,
            keys.state(self.partition),
        ]
        args: list[Any] = [self._worker, self._token, keys.group_field, self._next_offset, next_offset]
        args.append(self._settings.redis_retain)
        packed_rows = list(_pack_rows(rows))
        args += [len(packed_rows), *packed_rows, _pack_deleted(rows)]
        written, self._outputs = self._outputs, {}
        for (topic, partition), packer in written.items():
            names += [keys.stream(topic, partition), keys.offsets(topic, partition)]
            for count, packed in packer.finish():
                args += [len(names) - 1, count, packed, self._keep[topic]]
        try:
            with translated(f"committing partition {self.partition}"):
                answer = await self._scripts("commit", names, args)
        except Unavailable as error:
            raise Unknown(f"{error}; whether it was committed, the next claim tells") from error
        if answer[0] == b"fenced":
            raise Fenced(f"another worker claimed it ({answer[1].decode() or 'and gave it up'})")
        if answer[0] == b"stale":
            raise Fenced(f"the server has offset {answer[1].decode()} instead of {self._next_offset}: it went back")
        self._next_offset = next_offset

    async def release(self) -> None:
        """Give the partition up, so that the next owner need not wait, and close the connection."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._scripts("release", [self._keys.lease(self.partition)], [self._worker, self._token])
        with contextlib.suppress(Exception):
            await self._client.aclose()

    @contextlib.contextmanager
    def _doing(self, what: str) -> Any:
        """A connection that broke is no reason to end: claim again, with a new one."""
        try:
            with translated(f"{what} partition {self.partition}"):
                yield
        except Unavailable as error:
            raise Unknown(f"{error}; claiming it again") from error


def _pack_deleted(rows: EncodedRows) -> bytes:
    """Return the fields of deleted rows as MessagePack, or nothing."""
    fields = [f"{table}/{key}".encode() for table, changed in rows for key, row in changed if row is None]
    return msgpack.packb(fields, use_bin_type=False) if fields else b""


def _pack_rows(rows: EncodedRows) -> Any:
    """Yield the changed rows as MessagePack of field, row, field, row …, some thousands at a time."""
    flat: list[bytes] = []
    for table, changed in rows:
        prefix = table.encode() + b"/"
        for key, row in changed:
            if row is None:
                continue
            flat.append(prefix + key.encode())
            flat.append(row)
            if len(flat) >= 2 * ROWS_AT_ONCE:
                yield msgpack.packb(flat, use_bin_type=False)
                flat = []
    if flat:
        yield msgpack.packb(flat, use_bin_type=False)
