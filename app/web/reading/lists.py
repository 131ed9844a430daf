"""Lists of totals, sorted, page after page: of customers, products, and whatever aggregate says how it is sorted."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from app.views import VIEWS
from app.web.errors import bad_parameter
from app.web.reading.costly import Costly
from app.web.reading.queries import AllRows
from app.web.reading.ranking import SORTS, ByRank, Place, Sort, first
from app.web.reading.whole import Reading, Rows
from models.errors import shown
from models.money import CURRENCIES

MOST = 1_000
"""Most rows of one page."""

DEFAULT_SORTS: Mapping[str, str] = {"customers": "-order_count", "products": "-units_sold"}


class Page(NamedTuple):
    """Some rows of a list as readers get them, and the cursor of those that follow, None: none do."""

    rows: list[dict[str, Any]]
    following: str | None


class Lists:
    """Reads lists. A list that changes while it is paged may show a row twice, or not."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._sums = {table: Costly(self._reader(table)) for table in SORTS if VIEWS[table].customer_of is None}

    async def page(self, sort: Sort, limit: int, cursor: str) -> Page:
        """Return a page; `cursor` "": the first one. Raises `ApiError`."""
        query = ByRank(sort, _place(sort, cursor) if cursor else None, limit + 1)
        sums = self._sums.get(sort.table)
        if sums is None:  # every row is in one partition, so the first ones of all are among the first ones of each
            rows = await self._reading.of_all(query)
        else:
            rows = await sums.get()
        places = await first(query, rows)
        view = VIEWS[sort.table].view
        following = _cursor(sort, places[limit - 1]) if len(places) > limit else None
        return Page([view(key, rows[key]) for _, key in places[:limit]], following)

    def _reader(self, table: str) -> Any:
        async def read() -> Rows:
            return await self._reading.of_all(AllRows(table))

        return read


def read_sort(table: str, text: str) -> Sort:
    """Return what "-net:GBP" means; "": the default. Raises `ApiError`."""
    text = text or DEFAULT_SORTS.get(table, next(iter(SORTS[table])))
    name, colon, currency = text.removeprefix("-").partition(":")
    key = SORTS[table].get(name)
    if key is None:
        raise bad_parameter("sort", f"must be one of {', '.join(SORTS[table])}, with - before it: downwards")
    if key.of_currency and currency not in CURRENCIES:
        raise bad_parameter("sort", f"{name} is money: say of which currency, as in {name}:GBP, got {shown(currency)}")
    if colon and not key.of_currency:
        raise bad_parameter("sort", f"{name} is no money, and has no currency")
    return Sort(table, name, currency, text.startswith("-"))


def _cursor(sort: Sort, place: Place) -> str:
    return urlsafe_b64encode(msgspec.json.encode((sort, place))).decode().rstrip("=")


def _place(sort: Sort, cursor: str) -> Place:
    """Return the place that a cursor names; raises `ApiError`, also for one of a list that is sorted otherwise."""
    try:
        encoded = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        of, place = msgspec.json.decode(encoded, type=tuple[Sort, Place])
    except ValueError as error:
        raise bad_parameter("cursor", f"must be the `next` of another answer, got {shown(cursor)}") from error
    if of != sort:
        raise bad_parameter("cursor", "is that of another list: it goes with the sort of the answer that gave it")
    return place
