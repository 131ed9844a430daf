"""What can be asked of a table: the row of a key, the rows of a second key, or the sums over a range of keys.

A query is sent from worker to worker as it is, as JSON: see `path`, `written` and `query_from`.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from itertools import chain
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

import msgspec
from msgspec.structs import replace

from app.delivery.figures import Figures, figures_of, merge
from app.delivery.selecting import Selection, is_id, place_of
from app.engine.state import TableState
from app.engine.table import row_decoder
from app.topics import LETTERS_TABLE, ORDERS_TABLE
from app.views import VIEWS, TableView
from app.web.errors import ApiError, bad_parameter
from app.web.reading.costly import turn
from app.web.reading.ranking import ByRank
from models.letters import Letter

SLICE = 2_000
"""Rows looked at before others get their turn: a few ms."""

SLICE_BYTES = 256 << 10
"""Of encoded rows looked at before others get their turn: some have a hundred bytes, letters may have a megabyte."""

KEYS_SLICE = 20_000
"""Keys looked at before others get their turn."""

MAX_ROWS = 200_000
"""Most rows of a table that can be had whole."""

MAX_SUMS = 50_000
"""Most sums that one answer may hold."""


class Query(Protocol):
    """What is asked of a table."""

    kind: ClassVar[str]

    @property
    def table(self) -> str:
        """The name of the table."""

    @property
    def view(self) -> TableView:
        """How the rows that it yields are read and added up."""

    def select(self, rows: TableState) -> AsyncIterator[tuple[str, Any]]:
        """Yield what a partition's rows have to say, as (key, decoded row). Raises `ApiError` if it is too much."""


@dataclass(frozen=True, slots=True)
class _OfTable:
    """A query that yields rows of its table."""

    table: str

    @property
    def view(self) -> TableView:
        """That of the table."""
        return VIEWS[self.table]


@dataclass(frozen=True, slots=True)
class ByKey(_OfTable):
    """The row of a key."""

    key: str

    kind: ClassVar[str] = "key"

    async def select(self, rows: TableState) -> AsyncIterator[tuple[str, Any]]:
        """Yield the row, if there is one."""
        row = rows.get(self.key)
        if row is not None:
            yield self.key, row


@dataclass(frozen=True, slots=True)
class BySecondKey(_OfTable):
    """All rows of a second key (of an order id, for instance)."""

    key: str

    kind: ClassVar[str] = "second-key"

    async def select(self, rows: TableState) -> AsyncIterator[tuple[str, Any]]:
        """Yield the rows."""
        for key in rows.keys_of(self.key):
            yield key, rows.get(key)


@dataclass(frozen=True, slots=True)
class BySelection:
    """The letters of a selection that come after one of them (its id; "": from the first on), at most so many.

    `brief` ones lack what may be large: the record's value and headers, and the mended value.
    """

    selection: Selection
    after: str
    most: int
    brief: bool = False

    kind: ClassVar[str] = "selection"
    table: ClassVar[str] = LETTERS_TABLE
    view: ClassVar[TableView] = VIEWS[LETTERS_TABLE]

    def __post_init__(self) -> None:
        if self.after and not is_id(self.after):
            raise ValueError(f"{self.after!r} is not the id of a letter")

    async def select(self, rows: TableState) -> AsyncIterator[tuple[str, Letter]]:
        """Yield the letters, in the order of their records."""
        after = place_of(self.after) if self.after else (-1, -1)
        found: dict[str, Letter] = {}
        encoded, ids = rows.encoded, self.selection.ids
        async for some in _slices({key: encoded[key] for key in ids if key in encoded} if ids else encoded):
            for key, row in some:
                if place_of(key) > after and self.selection.matches(key, letter := rows.decode(row)):
                    found[key] = replace(letter, value=None, mended=None, headers=()) if self.brief else letter
        for key in nsmallest(self.most, found, key=place_of):
            yield key, found[key]


@dataclass(frozen=True, slots=True)
class AllRows(_OfTable):
    """All rows of a table: for those that are sums over partitions, and few."""

    kind: ClassVar[str] = "all"

    async def select(self, rows: TableState) -> AsyncIterator[tuple[str, Any]]:
        """Yield them; all as of one moment."""
        await turn()
        named = list(rows.encoded.items())
        if len(named) > MAX_ROWS:
            raise ApiError(400, "too_many_rows", f"the table has more than {MAX_ROWS:,} rows: it cannot be listed")
        for count, (key, row) in enumerate(named, 1):
            yield key, rows.decode(row)
            if not count % SLICE:
                await turn()


@dataclass(frozen=True, slots=True)
class Changed(_OfTable):
    """The rows that steps have changed last, at most so many. A worker that has just started knows of none."""

    most: int

    kind: ClassVar[str] = "changed"

    async def select(self, rows: TableState) -> AsyncIterator[tuple[str, Any]]:
        """Yield them, the last one first."""
        for key in list(dict.fromkeys(reversed(rows.changed)))[: self.most]:
            row = rows.get(key)
            if row is not None:
                yield key, row


@dataclass(frozen=True, slots=True)
class Newest:
    """The orders whose keys begin with a text, at most so many: those that changed last."""

    prefix: str
    most: int

    kind: ClassVar[str] = "newest"
    table: ClassVar[str] = ORDERS_TABLE
    view: ClassVar[TableView] = VIEWS[ORDERS_TABLE]

    async def select(self, rows: TableState) -> AsyncIterator[tuple[str, Any]]:
        """Yield them."""
        await turn()
        keys, prefix = list(rows.encoded), self.prefix
        found: list[str] = []
        for start in range(0, len(keys), KEYS_SLICE):
            found += [key for key in keys[start : start + KEYS_SLICE] if key.startswith(prefix)]
            await turn()
        newest: list[tuple[str, str]] = []
        for start in range(0, len(found), SLICE):
            rows_now = ((key, rows.get(key)) for key in found[start : start + SLICE])
            named = ((row.updated_at, key) for key, row in rows_now if row is not None)
            newest = nlargest(self.most, chain(newest, named))
            await turn()
        for _, key in newest:
            row = rows.get(key)
            if row is not None:
                yield key, row


@dataclass(frozen=True, slots=True)
class ByText(_OfTable):
    """The rows whose JSON holds a text as a value, at most so many: for an id that is no key of a table."""

    text: str
    most: int

    kind: ClassVar[str] = "text"

    async def select(self, rows: TableState) -> AsyncIterator[tuple[str, Any]]:
        """Yield them."""
        needle, found = msgspec.json.encode(self.text), 0
        async for some in _slices(rows.encoded):
            for key, row in some:
                if needle in row:
                    found += 1
                    yield key, rows.decode(row)
                    if found == self.most:
                        return


@dataclass(frozen=True, slots=True)
class ByRange(_OfTable):
    """The sums of the rows from key `first` up to, but without, `end`: of all whose first `width` characters agree."""

    first: str
    end: str
    width: int

    kind: ClassVar[str] = "range"

    async def select(self, rows: TableState) -> AsyncIterator[tuple[str, Any]]:
        """Yield the sums, with the common beginning of their keys; all as of one moment, however long it takes."""
        view = VIEWS[self.table]
        first, end, width, add = self.first, self.end, self.width, view.add
        await turn()
        keys, encoded = list(rows.encoded), list(rows.encoded.values())
        sums: dict[str, Any] = {}
        for start in range(0, len(keys), SLICE):
            stop = start + SLICE
            for key, row in zip(keys[start:stop], encoded[start:stop], strict=True):
                if first <= key < end:
                    add(sums, key[:width], view.decode(row))
            if len(sums) > MAX_SUMS:
                raise too_many_sums()
            await turn()
        for key, row in sums.items():
            yield key, row


async def _slices(encoded: Mapping[str, bytes]) -> AsyncIterator[list[tuple[str, bytes]]]:
    """Yield rows, so many at a time that others need not wait for more than a few ms."""
    await turn()
    some: list[tuple[str, bytes]] = []
    size = 0
    for key in list(encoded):
        row = encoded.get(key)
        if row is None:  # it has gone meanwhile
            continue
        some.append((key, row))
        size += len(row)
        if size > SLICE_BYTES or len(some) == SLICE:
            yield some
            some, size = [], 0
            await turn()
    yield some


def _not_shown(_key: str, _row: Figures) -> dict[str, Any]:
    raise AssertionError("figures are shown as of a moment, by whoever has asked for them")


@dataclass(frozen=True, slots=True)
class CountOf:
    """How many letters of each kind there are at `now`, in one row."""

    now: float

    kind: ClassVar[str] = "count"
    table: ClassVar[str] = LETTERS_TABLE
    key: ClassVar[str] = "letters"
    view: ClassVar[TableView] = TableView(row_decoder(Figures), _not_shown, merge)

    async def select(self, rows: TableState) -> AsyncIterator[tuple[str, Figures]]:
        """Yield the counts of a partition."""
        found = figures_of((), self.now)
        async for some in _slices(rows.encoded):
            found = merge(found, figures_of((rows.decode(row) for _, row in some), self.now))
        yield self.key, found


def too_many_sums() -> ApiError:
    """Return the error for a query that has too long an answer."""
    return ApiError(400, "too_many_rows", f"the answer has more than {MAX_SUMS:,} rows: ask for less at a time")


KINDS: Mapping[str, type[Any]] = MappingProxyType(
    {
        each.kind: each
        for each in (ByKey, BySecondKey, Newest, ByText, ByRange, ByRank, BySelection, CountOf, AllRows, Changed)
    }
)
"""What can be asked, by its kind."""


def path(query: Query) -> str:
    """Return the path under which a worker is asked."""
    return f"/internal/rows/{query.kind}"


def written(query: Query) -> str:
    """Return a query as another worker is sent it."""
    return msgspec.json.encode(query).decode()


def query_from(kind: str, text: str) -> Query:
    """Return the query that another worker has written; raises `ApiError`."""
    wanted = KINDS.get(kind)
    if wanted is None:
        raise ApiError(404, "not_found", "there is no such kind of query; do the workers run the same version?")
    try:
        query: Query = msgspec.json.decode(text, type=wanted)
    except (ValueError, RecursionError) as error:
        raise bad_parameter("query", "must be as this version writes it") from error
    if query.table not in VIEWS:
        raise ApiError(404, "not_found", "there is no such table; do the workers run the same version?")
    return query
