"""What a table is to the engine: a name, and how rows become bytes and rows again. The rows are in state.py."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

encode_row = msgspec.json.Encoder().encode
"""Encodes a row: a Struct as a JSON array, or the JSON value it is."""


def same(value: Any) -> Any:
    """Decode a row that is its own JSON value."""
    return value


@dataclass(frozen=True, slots=True)
class Table:
    """A named collection of rows, one part of it per partition.

    `decode` gets the parsed JSON of a row and returns the row. `index_of`, where given, maps a row's key to a second
    key under which the row can be found too (one to many). Rows must never be mutated after they were put.
    """

    name: str
    decode: Callable[[Any], Any] = same
    index_of: Callable[[str], str] | None = None
