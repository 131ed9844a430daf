"""How records are packed into the entries of a stream: whatever was put in comes out, in order, at its offset."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.step import Output
from app.transports.redis_streams.entries import ENTRY_BYTES, ENTRY_RECORDS, Packer, StreamRecord, unpack

KEYS = st.none() | st.binary(max_size=20)
HEADERS = st.lists(st.tuples(st.text(max_size=10), st.none() | st.binary(max_size=10)), max_size=3)
RECORDS = st.lists(st.tuples(KEYS, KEYS, HEADERS, st.integers(0, 2**50)), min_size=1, max_size=30)


def packed(records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], int]]) -> list[StreamRecord]:
    """Return what a reader finds, reading from offset 100."""
    packer = Packer()
    for key, value, headers, timestamp in records:
        packer.add(key, value, headers, timestamp)
    found: list[StreamRecord] = []
    for count, content in packer.finish():
        unpacked = unpack(content, 100 + len(found))
        assert len(unpacked) == count
        found += unpacked
    return found


@given(RECORDS)
def test_records_come_out_as_they_went_in(
    records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], int]],
) -> None:
    """Key, value (null and empty are two things), headers and timestamp, in order, with offsets that have no gaps."""
    found = packed(records)
    assert [(r.key, r.value, list(r.headers), r.timestamp) for r in found] == records
    assert [r.offset for r in found] == list(range(100, 100 + len(records)))


@given(st.lists(RECORDS, max_size=4))
def test_outputs_are_packed_as_records_are(
    chunks: list[list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], int]]],
) -> None:
    """Many at once, or one by one: the same records in the same order."""
    packer = Packer()
    for chunk in chunks:
        packer.extend([Output("t", 0, key, value, headers, timestamp) for key, value, headers, timestamp in chunk])
    found = [record for _, content in packer.finish() for record in unpack(content, 0)]
    expected = [record for chunk in chunks for record in chunk]
    assert [(r.key, r.value, list(r.headers), r.timestamp) for r in found] == expected


def test_a_headers_name_that_is_no_text_is_read_and_can_be_written() -> None:
    """With replacement characters, as Kafka's clients read it: one odd record must not stop a partition."""
    columns = ([1], [None], [b"v"], [[[b"caf\xe9", b"1"], [b"plain", None]]])
    (record,) = unpack(msgpack.packb(columns), 0)
    assert list(record.headers) == [("caf\ufffd", b"1"), ("plain", None)]
    assert packed([(None, b"v", list(record.headers), 1)])[0].headers == record.headers


@pytest.mark.parametrize("size", [0, 700, ENTRY_BYTES // 3, 2 * ENTRY_BYTES])
def test_outputs_are_packed_within_bounds(size: int) -> None:
    """Entries of many outputs keep to both limits too."""
    packer = Packer()
    for count in (1, 256, 256, ENTRY_RECORDS + 1, 3):
        packer.extend([Output("t", 0, None, bytes(size))] * (count if size < ENTRY_BYTES // 4 else count % 7))
    for entry in packer.finish():
        assert entry.records <= ENTRY_RECORDS
        assert entry.records == 1 or len(entry.packed) < ENTRY_BYTES + 20_000


@given(st.lists(st.integers(0, 2 * ENTRY_BYTES), min_size=1, max_size=12))
def test_an_entry_holds_no_more_than_its_bytes(sizes: list[int]) -> None:
    """But for a record that is larger by itself."""
    packer = Packer()
    for size in sizes:
        packer.add(b"", bytes(size), (), 1)
    entries = packer.finish()
    assert sum(entry.records for entry in entries) == len(sizes)
    assert all(entry.records == 1 or len(entry.packed) < ENTRY_BYTES + 1_000 for entry in entries)


def test_an_entry_holds_no_more_than_so_many_records() -> None:
    """However small they are."""
    packer = Packer()
    for _ in range(2 * ENTRY_RECORDS + 1):
        packer.add(b"k", b"v", (), None)
    assert [entry.records for entry in packer.finish()] == [ENTRY_RECORDS, ENTRY_RECORDS, 1]


def test_a_record_without_a_time_gets_the_present_one() -> None:
    """In milliseconds."""
    (record,) = packed([(b"k", b"v", [], 5)])
    assert record.timestamp == 5
    packer = Packer()
    packer.add(b"k", b"v", (), None)
    (entry,) = packer.finish()
    assert unpack(entry.packed, 0)[0].timestamp > 1_700_000_000_000
