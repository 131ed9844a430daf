"""Reads messages ahead: one blocking read for all partitions at once, into a buffer for each.

A read that is under way when positions change fills buffers that nobody looks into any more.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import msgpack
from faust.types.tuples import TP

from app.engine.errors import Inconsistent, Unavailable
from app.transports.plain_faust.space import Space
from app.transports.redis_streams.entries import StreamRecord, unpack
from app.transports.redis_streams.failures import translated
from app.transports.redis_streams.scripts import Session

log = logging.getLogger(__name__)

BLOCK_MS = 1_000
ENTRIES = 16
ENOUGH_RECORDS = 2_000
"""A partition is not read further ahead than this, and what one read brings."""

FULL_SECONDS = 0.05
RETRY_SECONDS = 0.25
SCAN_ROWS = 2_000


class Feed:
    """What was read ahead of a partition; `position` is the next offset to read, `end` the partition's as last seen."""

    __slots__ = ("buffer", "end", "fresh", "position", "tp")

    def __init__(self, tp: TP, position: int) -> None:
        self.tp = tp
        self.position = position
        self.end = position
        self.fresh = True
        self.buffer: deque[StreamRecord] = deque()


class Reader:
    """Positions and buffers. `arrived` is set when there is something new; `on_gap` is called where the server went."""

    def __init__(self, space: Space, on_return: Callable[[], None]) -> None:
        self.arrived = asyncio.Event()
        self._space = space
        self._on_return = on_return
        self._session = Session(space.server)
        self._feeds: dict[TP, Feed] = {}
        self._changed = asyncio.Event()

    def seek(self, positions: Mapping[TP, int]) -> None:
        """Read these partitions from there on, whatever was read of them before."""
        self._feeds.update({tp: Feed(tp, position) for tp, position in positions.items()})
        self._changed.set()

    def forget(self) -> None:
        """Read nothing more."""
        self._feeds.clear()
        self._changed.set()

    def position(self, tp: TP) -> int | None:
        """Return the next offset to be taken."""
        feed = self._feeds.get(tp)
        if feed is None:
            return None
        return feed.buffer[0].offset if feed.buffer else feed.position

    def end(self, tp: TP) -> int:
        """Return where a partition ended when it was last read."""
        feed = self._feeds.get(tp)
        return max(feed.end, feed.position) if feed else 0

    def take(self, tps: Iterable[TP] | None, most: int) -> dict[TP, list[StreamRecord]]:
        """Return what was read of these partitions (None: of all), at most so many records of each."""
        taken: dict[TP, list[StreamRecord]] = {}
        for tp in list(self._feeds if tps is None else tps):
            feed = self._feeds.get(tp)
            if feed is not None and feed.buffer:
                full = len(feed.buffer) >= ENOUGH_RECORDS
                taken[tp] = [feed.buffer.popleft() for _ in range(min(most, len(feed.buffer)))]
                if full and len(feed.buffer) < ENOUGH_RECORDS:
                    self._changed.set()
        return taken

    async def run(self) -> None:
        """Read until cancelled; raises the engine's errors, `Unavailable` once the server is away for too long."""
        try:
            await self._run()
        finally:
            with suppress(Exception):
                await self._session.client.aclose()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        away: float | None = None
        while True:
            self._changed.clear()
            feeds = [feed for feed in self._feeds.values() if len(feed.buffer) < ENOUGH_RECORDS]
            all_read = len(feeds) == len(self._feeds)
            client = self._session.client
            try:
                if away is not None:
                    with translated("reading"):
                        await client.ping()
                    away = None
                    self.forget()
                    self._on_return()
                elif feeds:
                    await self._unless_changed(self._read(feeds, BLOCK_MS if all_read else None))
            except Unavailable as error:
                away = loop.time() if away is None else away
                if loop.time() - away > self._space.settings.broker_timeout:
                    raise
                log.warning("%s; trying again", error)
                await self._session.renew(client)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if not all_read or not feeds:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), FULL_SECONDS if feeds else None)

    async def _unless_changed(self, reading: Awaitable[None]) -> None:
        """Read; if that is out of date before it ends, leave it and its connection, which may be waiting still."""
        read, changed = asyncio.ensure_future(reading), asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({read, changed}, return_when=asyncio.FIRST_COMPLETED)
            if read.done():
                await read
                return
        finally:
            changed.cancel()
            if not read.done():
                client = self._session.client
                read.cancel()
                await asyncio.wait({read})
                await self._session.renew(client)

    async def _read(self, feeds: list[Feed], block_ms: int | None) -> None:
        with translated("reading"):
            for feed in feeds:
                if feed.fresh:
                    await self._begin(feed)
            keys = self._space.keys
            by_key = {keys.stream(*feed.tp).encode(): feed for feed in feeds}
            positions = {key: f"0-{feed.position}" for key, feed in by_key.items()}
            found: Any = await self._session.client.xread(positions, ENTRIES, block_ms)
        for key, entries in found:
            feed = by_key[key]
            for entry_id, fields in entries:
                if not feed.fresh:
                    self._add(feed, entry_id, fields)
        if found:
            self.arrived.set()

    async def _begin(self, feed: Feed) -> None:
        """Find out where a partition begins; what lies before that of a compacted topic is in its rows."""
        client, keys = self._session.client, self._space.keys
        topic = await self._space.topic(feed.tp.topic)
        feed.end = int(await client.hget(keys.offsets(*feed.tp), "end") or 0)
        entries: Any = await client.xrange(keys.stream(*feed.tp), count=1)
        first = int(entries[0][0].removeprefix(b"0-")) - int(entries[0][1][b"n"]) if entries else feed.end
        if feed.position > feed.end:
            log.error(
                "%s[%d] ends at offset %d now: going on there instead of at %d", *feed.tp, feed.end, feed.position
            )
            feed.position = first
        if feed.position < first:
            if topic.compacted:
                feed.buffer.extend(await self._rows(feed, first))
            else:
                log.error("%s[%d]: offsets %d to %d are gone, unread", *feed.tp, feed.position, first - 1)
            feed.position = first
        feed.fresh = False
        if feed.buffer:
            self.arrived.set()

    async def _rows(self, feed: Feed, first: int) -> list[StreamRecord]:
        """Return the rows that are older than the stream's first record, by offset."""
        key, cursor, rows = self._space.rows(*feed.tp), 0, []
        while True:
            cursor, found = await self._session.client.hscan(key, cursor, count=SCAN_ROWS)
            for name, packed in found.items():
                offset, timestamp, value, headers = msgpack.unpackb(packed, raw=True)
                if feed.position <= offset < first:
                    pairs = [(header.decode(errors="replace"), content) for header, content in headers or ()]
                    rows.append(StreamRecord(offset, timestamp, name, None if value is False else value, pairs))
            if not cursor:
                return sorted({row.offset: row for row in rows}.values(), key=lambda row: row.offset)

    def _add(self, feed: Feed, entry_id: bytes, fields: Mapping[bytes, bytes]) -> None:
        """Buffer an entry, or the rest of one that was begun."""
        try:
            records = unpack(fields[b"r"], int(entry_id.removeprefix(b"0-")) - int(fields[b"n"]))
        except (KeyError, ValueError, TypeError) as error:
            raise Inconsistent(
                f"the entry {entry_id.decode()} of {self._space.keys.stream(*feed.tp)} is none of ours: remove it"
            ) from error
        if records[0].offset > feed.position:  # trimmed since: look again at what there is
            feed.fresh = True
            return
        feed.buffer.extend(records[feed.position - records[0].offset :])
        feed.position = records[-1].offset + 1
        feed.end = max(feed.end, feed.position)
