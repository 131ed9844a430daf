"""Rows by size: the first so many of a table, sorted by what an aggregate offers, and those that follow a place.

Which rows come first is found out anew only as often as that is worth its cost (see `costly`); the rows themselves are
always those of now. So a list out of a million customers may be in an order of some seconds ago, and never shows a
wrong figure.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple
from weakref import WeakKeyDictionary, ref

from app.engine.state import TableState
from app.views import VIEWS, TableView
from app.web.reading.costly import Costly
from models.aggregates import AGGREGATES
from models.aggregates.aggregate import SortKey

SLICE = 2_000
"""Rows looked at before others get their turn: a few ms."""

KEPT = 32
"""Answers that are kept per table and partition."""

SORTS: Mapping[str, Mapping[str, SortKey]] = {each.name: each.sorts for each in AGGREGATES if each.sorts}
"""By table and name."""

Place = tuple[int | str, str]
"""Where a row stands in a ranking: the value that it is sorted by, and its key."""


class Sort(NamedTuple):
    """What the rows of a table are sorted by; `currency` is "" where it is no money."""

    table: str
    name: str
    currency: str
    descending: bool

    def place(self, key: str, row: Any) -> Place | None:
        """Return where a row stands, None if it does not belong into the list."""
        value = SORTS[self.table][self.name].value(key, row, self.currency)
        return None if value is None else (value, key)


@dataclass(frozen=True, slots=True)
class ByRank:
    """The first `most` rows in an order, or those after a place."""

    sort: Sort
    after: Place | None
    most: int

    kind: ClassVar[str] = "rank"

    def __post_init__(self) -> None:
        if self.sort.name not in SORTS.get(self.sort.table, ()):
            raise ValueError(f"{self.sort.table} cannot be sorted by {self.sort.name}")

    @property
    def table(self) -> str:
        """The table."""
        return self.sort.table

    @property
    def view(self) -> TableView:
        """That of the table."""
        return VIEWS[self.sort.table]

    async def select(self, rows: TableState) -> AsyncIterator[tuple[str, Any]]:
        """Yield the rows of a partition."""
        for _, key in await _first(rows, self).get():
            row = rows.get(key)
            if row is not None:
                yield key, row


_found: WeakKeyDictionary[TableState, dict[ByRank, Costly[list[Place]]]] = WeakKeyDictionary()


def _first(rows: TableState, query: ByRank) -> Costly[list[Place]]:
    """Return what a query finds in a partition, as of a moment ago."""
    of_table = _found.setdefault(rows, {})
    if query not in of_table:
        table = ref(rows)  # the other way round it would keep a partition's rows for ever

        async def find() -> list[Place]:
            now = table()
            return [] if now is None else await first(query, list(now.encoded.items()), now.decode)

        if len(of_table) >= KEPT:
            del of_table[next(iter(of_table))]
        of_table[query] = Costly(find)
    return of_table[query]


async def first(query: ByRank, rows: list[tuple[str, Any]], decode: Callable[[Any], Any] | None = None) -> list[Place]:
    """Return the places of the rows that a query means, in its order. Others get their turn meanwhile."""
    sort, after, most = query.sort, query.after, query.most
    places: list[Place] = []
    for start in range(0, len(rows), SLICE):
        for key, row in rows[start : start + SLICE]:
            place = sort.place(key, row if decode is None else decode(row))
            if place is not None and (after is None or (place < after if sort.descending else place > after)):
                places.append(place)
        if len(places) > 4 * most + SLICE:
            places.sort(reverse=sort.descending)
            del places[most:]
        await asyncio.sleep(0)
    places.sort(reverse=sort.descending)
    return places[:most]
