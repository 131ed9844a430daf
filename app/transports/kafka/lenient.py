"""Parses record batches whose header names are no text, which aiokafka's fast parser gives up on.

Kafka's own clients read such names with replacement characters; one odd record must not stop a partition.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

LENGTH_AT, MAGIC_AT, BEGIN = 8, 16, 12
"""Where a batch tells its length and its format, and from where on that length counts (Kafka protocol, RecordBatch)."""


def batches_of(data: bytes) -> Iterator[Any]:
    """Yield the record batches of a fetch, without the last one if it was cut off."""
    records = MemoryRecords(data)
    while records.has_next():
        yield records.next_batch()


def lenient_batches_of(data: bytes) -> Iterator[Any]:
    """Do the same, ten times slower, by a parser that reads any header name."""
    at = 0
    while at + BEGIN <= len(data):
        end = at + BEGIN + int.from_bytes(data[at + LENGTH_AT : at + BEGIN], "big")
        if end > len(data):
            return
        batch = data[at:end]
        if batch[MAGIC_AT] < 2:
            yield from batches_of(batch)  # without headers
        else:
            yield _LenientBatch(batch)
        at = end


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: Any = _Bytes(self._buffer)


class _Bytes(bytearray):
    """Bytes of which every part can be decoded."""

    def __getitem__(self, at: Any) -> Any:
        part = super().__getitem__(at)
        return _Part(part) if isinstance(at, slice) else part


class _Part(bytearray):
    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, "replace")
