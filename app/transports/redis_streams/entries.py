"""How records are packed into the entries of a stream: many to one, for a sixth of the server's time.

An entry's field `r` is MessagePack (its older form, without `bin` and `str8`, as Lua's cmsgpack has it) of four
lists: timestamps in ms, keys, values, headers; a record's headers are null or a list of [name, value]. Field `n` tells
how many records there are.
"""

import time
from collections.abc import Sequence
from itertools import repeat
from typing import Any, NamedTuple

import msgpack

from app.engine.step import Headers, Output

ENTRY_RECORDS = 512
ENTRY_BYTES = 512 << 10
"""An entry takes no more records once it holds this many bytes; a larger record is an entry of its own."""


class StreamRecord(NamedTuple):
    """A record as the engine wants it. `timestamp` in ms; `timestamp_type` 0: set by the sender."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_type: int = 0


class Entry(NamedTuple):
    """A packed entry of so many records."""

    records: int
    packed: bytes


class Packer:
    """Packs the records of one partition, in order."""

    __slots__ = ("_headers", "_keys", "_size", "_timestamps", "_values", "entries")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._clear()

    def _clear(self) -> None:
        self._timestamps: list[int] = []
        self._keys: list[bytes | None] = []
        self._values: list[bytes | None] = []
        self._headers: list[Headers | None] = []
        self._size = 0

    def add(self, key: bytes | None, value: bytes | None, headers: Headers, timestamp: int | None) -> None:
        """Add a record; `timestamp` in ms, None = now."""
        size = (len(value) if value else 0) + (len(key) if key else 0)
        if self._size + size > ENTRY_BYTES or len(self._keys) >= ENTRY_RECORDS:
            self._pack()
        self._size += size
        self._timestamps.append(int(time.time() * 1000) if timestamp is None else timestamp)
        self._keys.append(key)
        self._values.append(value)
        self._headers.append(headers or None)

    def extend(self, outputs: Sequence[Output]) -> None:
        """Add outputs, all to this partition; many at once for a third of the time, where they fit."""
        values = [output.value for output in outputs]
        size = sum(map(len, filter(None, values))) + sum(len(output.key) for output in outputs if output.key)
        if size > ENTRY_BYTES or len(values) > ENTRY_RECORDS:
            for output in outputs:
                self.add(output.key, output.value, output.headers, output.timestamp)
            return
        if self._size + size > ENTRY_BYTES or len(self._keys) + len(values) > ENTRY_RECORDS:
            self._pack()
        self._size += size
        now = int(time.time() * 1000)
        self._timestamps += [now if output.timestamp is None else output.timestamp for output in outputs]
        self._keys += [output.key for output in outputs]
        self._values += values
        self._headers += [output.headers or None for output in outputs]

    def _pack(self) -> None:
        if self._keys:
            columns = (self._timestamps, self._keys, self._values, self._headers)
            self.entries.append(Entry(len(self._keys), msgpack.packb(columns, use_bin_type=False)))
            self._clear()

    def finish(self) -> list[Entry]:
        """Return all entries, the last one as full as it is."""
        self._pack()
        return self.entries


def unpack(packed: bytes, first_offset: int) -> Sequence[StreamRecord]:
    """Return the records of an entry whose first has the offset `first_offset`; raises ValueError if it holds none."""
    timestamps, keys, values, headers = msgpack.unpackb(packed, raw=True, strict_map_key=False)
    offsets = range(first_offset, first_offset + len(timestamps))
    all_headers: Any = map(_headers, headers) if any(headers) else repeat(())
    return list(map(StreamRecord, offsets, timestamps, keys, values, all_headers))


def _headers(packed: list[list[bytes]] | None) -> Headers:
    return [(name.decode(errors="replace"), value) for name, value in packed] if packed else ()
