"""How rows and the source offset look as records of the compacted state topic."""

import orjson

OFFSET_KEY = b"offset"
"""Key of the row that holds the next source offset. Table names are never empty, so no row's key equals it."""


def row_prefix(table: str) -> bytes:
    """Return what the keys of a table's rows begin with: `<table>/`."""
    return table.encode() + b"/"


def split_key(key: bytes) -> tuple[str, str]:
    """Return (table, key) of a row's record key; raises ValueError if it is no text."""
    table, _, row_key = key.decode().partition("/")
    return table, row_key


def encode_offset(next_offset: int) -> bytes:
    """Return the value of the offset row."""
    return orjson.dumps({"next": next_offset})


def decode_offset(value: bytes | None) -> int:
    """Return the next source offset from the value of the offset row; raises ValueError if it holds none."""
    row = None if value is None else orjson.loads(value)
    offset = row.get("next") if isinstance(row, dict) else None
    if type(offset) is not int or offset < 0:
        raise ValueError(f"{value!r} is no offset")
    return offset
