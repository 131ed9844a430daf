"""Dead letters over all partitions: some of them, one, and how many there are."""

import time
from typing import Any, NamedTuple

from app.delivery.figures import figures_view
from app.delivery.selecting import Selection, in_order
from app.web.errors import unknown
from app.web.reading.queries import BySelection, CountOf
from app.web.reading.whole import Reading
from models.letters import STATES, Letter

EVERY = 1_000_000


class Page(NamedTuple):
    """Some letters by their ids, in order; and the id after which more follow, None: none do."""

    letters: dict[str, Letter]
    following: str | None


async def letters_page(reading: Reading, selection: Selection, after: str, limit: int) -> Page:
    """Return the letters of a selection that come after one of them, briefly; `after` "": from the first on."""
    rows = await reading.of_all(BySelection(selection, after, limit + 1, brief=True))
    names = in_order(rows)
    return Page({name: rows[name] for name in names[:limit]}, names[limit - 1] if len(names) > limit else None)


async def find_letter(reading: Reading, name: str) -> Letter:
    """Return a letter, closed or open; raises `ApiError` (404)."""
    letters = await reading.of_all(BySelection(Selection(frozenset((name,)), STATES), "", 1))
    if name not in letters:
        raise unknown("letter", name)
    letter: Letter = letters[name]
    return letter


async def letters_of(reading: Reading, names: frozenset[str], *, brief: bool) -> dict[str, Letter]:
    """Return those letters of these ids that there are; `brief` ones without their records."""
    return await reading.of_all(BySelection(Selection(names, STATES), "", EVERY, brief))


async def letter_figures(reading: Reading) -> dict[str, Any]:
    """Return how many letters there are, as readers get it."""
    now = time.time()
    found = await reading.of_all(CountOf(now))
    return figures_view(found[CountOf.key], now)
