"""What a table is to the engine: a name, and how rows become bytes and rows again. The rows are in state.py."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

Row = TypeVar("Row")

encode_row = msgspec.json.Encoder().encode
"""Encodes a row: a Struct as a JSON array, or the JSON value it is."""


def row_decoder(row: type[Row]) -> Callable[[bytes | msgspec.Raw], Row]:
    """Return what decodes rows of a type; it raises `msgspec.DecodeError` for bytes that hold none."""
    return msgspec.json.Decoder(row).decode


@dataclass(frozen=True, slots=True)
class Table:
    """A named collection of rows, one part of it per partition.

    `row` is the type of the rows: a Struct, or anything that msgspec reads from JSON. `index_of`, where given, maps a
    row's key to a second key under which the row can be found too (one to many). `due_of`, where given, tells when
    something is to be done about a row (seconds since 1970; None: never), so that such rows are found without a search.
    Rows must never be mutated after they were put.
    """

    name: str
    row: Any = Any
    index_of: Callable[[str], str] | None = None
    due_of: Callable[[Any], float | None] | None = None
