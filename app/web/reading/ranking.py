"""Rows by size: the first so many of a table, sorted by what an aggregate offers, and those that follow a place.

Which rows come first is found out anew only as often as that is worth its cost (see `costly`); the rows themselves are
always those of now. So a list out of a million customers may be in an order of some seconds ago, and never shows a
wrong figure.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple
from weakref import WeakKeyDictionary, ref

from app.engine.state import TableState
from app.views import VIEWS, TableView
from app.web.errors import not_ready
from app.web.reading.costly import Costly, turn
from models.aggregates import AGGREGATES
from models.aggregates.aggregate import SortKey

SLICE = 2_000
"""Rows looked at before others get their turn: a few ms."""

KEPT = 32
"""Answers that are kept per table and partition."""

AT_ONCE = 8
"""Searches of a table and partition at once: each walks through all rows, and goes on if whoever asked has gone."""

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
        found = _found.setdefault(rows, _Found(rows))
        places = await found.places(self)
        keys = self._still(rows, places)
        if len(keys) < self.most and len(places) == self.searched:  # too many have moved: what follows is not known
            keys = self._still(rows, await found.places(self, anew=True))
        for key in keys:
            yield key, rows.get(key)

    @property
    def searched(self) -> int:
        """How many are searched for: some of them may have moved when they are shown."""
        return 2 * self.most

    def follows(self, place: Place) -> bool:
        """Whether a place comes after `after`. None does after one that no row of such a list can have."""
        after = self.after
        if after is None:
            return True
        return type(place[0]) is type(after[0]) and (place < after if self.sort.descending else place > after)

    def _still(self, rows: TableState, places: list[Place]) -> list[str]:
        """Return the keys of the first rows, as they stand now: after `after`, and not behind all that was found.

        Before one that is behind, others may come that are not known of.
        """
        behind = places[-1] if len(places) == self.searched else None
        still: list[Place] = []
        for _, key in places:
            row = rows.get(key)
            place = None if row is None else self.sort.place(key, row)
            if place is not None and self.follows(place) and not self._is_behind(place, behind):
                still.append(place)
        still.sort(reverse=self.sort.descending)
        return [key for _, key in still[: self.most]]

    def _is_behind(self, place: Place, last: Place | None) -> bool:
        return last is not None and (place < last if self.sort.descending else place > last)


class _Found:
    """What queries have found in a table, as of a moment ago."""

    def __init__(self, rows: TableState) -> None:
        self._rows = ref(rows)  # the other way round it would keep a partition's rows for ever
        self._places: dict[ByRank, Costly[list[Place]]] = {}
        self._searches = 0

    async def places(self, query: ByRank, *, anew: bool = False) -> list[Place]:
        """Return the places of the first rows, in order, and of some that follow. Raises `ApiError` (503)."""
        known = self._places.pop(query, None)
        self._places[query] = found = Costly(partial(self._search, query)) if known is None or anew else known
        if len(self._places) > KEPT:
            del self._places[next(iter(self._places))]  # which was not asked for for longest
        return await found.get()

    async def _search(self, query: ByRank) -> list[Place]:
        rows = self._rows()
        if rows is None:
            return []
        if self._searches >= AT_ONCE:
            raise not_ready(f"too many lists of {query.table} are being sorted at once")
        self._searches += 1
        try:
            return await first(query, rows.encoded, rows.decode, query.searched)
        finally:
            self._searches -= 1


_found: WeakKeyDictionary[TableState, _Found] = WeakKeyDictionary()


async def first(
    query: ByRank, rows: Mapping[str, Any], decode: Callable[[Any], Any] | None = None, most: int | None = None
) -> list[Place]:
    """Return the places of the rows that a query means, `most` instead of its own number, in its order.

    Others get their turn meanwhile.
    """
    sort, most = query.sort, query.most if most is None else most
    await turn()
    keys, places = list(rows), list[Place]()  # a list of pairs would take ten times as long to make
    for start in range(0, len(keys), SLICE):
        await turn()
        for key in keys[start : start + SLICE]:
            row = rows.get(key)
            place = None if row is None else sort.place(key, row if decode is None else decode(row))
            if place is not None and query.follows(place):
                places.append(place)
        if len(places) > 4 * most + SLICE:
            places.sort(reverse=sort.descending)
            del places[most:]
    places.sort(reverse=sort.descending)
    return places[:most]
