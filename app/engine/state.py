"""The committed rows of one partition, in memory. Only a committed step changes them; readers see nothing else.

Every row is held encoded: bytes are a third of the size of objects and cost the garbage collector nothing. The rows
that steps touched last are kept decoded as well, in two generations, so that hot keys are not parsed over and over.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from app.engine.table import Table, row_decoder

HOT_ROWS = 16_384
"""Decoded rows per generation, table and partition."""

SPARE_DUE = 1_000
"""Entries the heap of due rows may have, beside two for every row, before it is built again without outdated ones."""


CHANGED = 100
"""Keys of rows changed last that are remembered, per table and partition."""


class TableState:
    """The rows of one table in one partition."""

    __slots__ = (
        "__weakref__",
        "_due",
        "_due_of",
        "_hot",
        "_index",
        "_index_of",
        "_warm",
        "bytes",
        "changed",
        "decode",
        "encoded",
        "name",
    )

    def __init__(self, table: Table) -> None:
        self.name = table.name
        self.decode = row_decoder(table.row)
        self.encoded: dict[str, bytes] = {}
        self.bytes = 0  # of all rows together, of tables with `due_of`
        self.changed: deque[str] = deque(maxlen=CHANGED)  # keys that steps have changed, the last one last
        self._hot: dict[str, Any] = {}
        self._warm: dict[str, Any] = {}
        self._index_of = table.index_of
        self._index: dict[str, str | tuple[str, ...]] = {}
        self._due_of = table.due_of
        self._due: list[tuple[float, str]] = []  # a heap; what a row no longer says is dropped when it comes up

    def get(self, key: str) -> Any:
        """Return the row of `key`, or None."""
        row = self._hot.get(key)
        if row is not None:
            return row
        row = self._warm.get(key)
        if row is not None:
            return row
        encoded = self.encoded.get(key)
        return None if encoded is None else self.decode(encoded)

    def load(self, key: str, encoded: bytes | None) -> None:
        """Take a committed row as bytes, as it was read back from the broker; None deletes it."""
        if self._due_of is not None:
            self.bytes += len(encoded or b"") - len(self.encoded.get(key, b""))
        if encoded is None:
            self._hot.pop(key, None)
            self._warm.pop(key, None)
            if self.encoded.pop(key, None) is not None and self._index_of is not None:
                self._remove_from_index(key)
            return
        if self._index_of is not None and key not in self.encoded:
            self._add_to_index(key)
        self.encoded[key] = encoded
        if self._due_of is not None:
            self._add_due(key, self.decode(encoded))

    def apply(self, rows: dict[str, Any], encoded: Sequence[tuple[str, bytes]]) -> None:
        """Take the rows of a committed step, decoded and encoded."""
        if self._index_of is not None:
            known = self.encoded
            for key in rows:
                if key not in known:
                    self._add_to_index(key)
        if self._due_of is not None:
            for key, new in encoded:
                self.bytes += len(new) - len(self.encoded.get(key, b""))
            for key, row in rows.items():
                self._add_due(key, row)
        self.encoded.update(encoded)
        self._hot.update(rows)
        self.changed.extend(islice(rows, max(0, len(rows) - CHANGED), None))
        if len(self._hot) > HOT_ROWS:
            self._warm, self._hot = self._hot, {}

    def keys_of(self, indexed: str) -> tuple[str, ...]:
        """Return the keys whose second key is `indexed`."""
        found = self._index.get(indexed, ())
        return (found,) if isinstance(found, str) else found

    def due(self, now: float, most: int) -> list[str]:
        """Return the keys of rows about which something was to be done by `now`, the longest due first."""
        assert self._due_of is not None
        found: list[tuple[float, str]] = []
        while self._due and self._due[0][0] <= now and len(found) < most:
            at, key = heapq.heappop(self._due)
            row = self.get(key)
            if row is not None and self._due_of(row) == at and (not found or found[-1] != (at, key)):
                found.append((at, key))
        for entry in found:  # they stay due until their rows say otherwise
            heapq.heappush(self._due, entry)
        return [key for _, key in found]

    def _add_due(self, key: str, row: Any) -> None:
        assert self._due_of is not None
        at = self._due_of(row)
        if at is None:
            return
        heapq.heappush(self._due, (at, key))
        if len(self._due) > 2 * len(self.encoded) + SPARE_DUE:  # most of them are of rows that say otherwise by now
            rows = ((key, self.get(key)) for key in dict.fromkeys(key for _, key in self._due))
            known = ((self._due_of(row), key) for key, row in rows if row is not None)
            self._due = [(at, key) for at, key in known if at is not None]
            heapq.heapify(self._due)

    def _add_to_index(self, key: str) -> None:
        assert self._index_of is not None
        second = self._index_of(key)
        found = self._index.get(second)
        if found is None:
            self._index[second] = key
        elif isinstance(found, str):
            self._index[second] = (found, key)
        else:
            self._index[second] = (*found, key)

    def _remove_from_index(self, key: str) -> None:
        assert self._index_of is not None
        second = self._index_of(key)
        left = tuple(known for known in self.keys_of(second) if known != key)
        if left:
            self._index[second] = left
        else:
            del self._index[second]


class PartitionState:
    """All tables of one partition."""

    __slots__ = ("tables",)

    def __init__(self, tables: Iterable[Table]) -> None:
        self.tables = {table.name: TableState(table) for table in tables}

    def load(self, table: str, key: str, encoded: bytes | None) -> None:
        """Take one row read back from the broker; rows of tables that no longer exist are passed over."""
        found = self.tables.get(table)
        if found is not None:
            found.load(key, encoded)

    def row_count(self) -> int:
        """Return the number of rows of all tables."""
        return sum(len(table.encoded) for table in self.tables.values())

    def __iter__(self) -> Iterator[TableState]:
        return iter(self.tables.values())
