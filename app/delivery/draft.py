"""What some records lead to, before any of it is put into their step: all of it is put there, or nothing."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from app.engine.step import Changes, Output, Step
from app.topics import HELD_TABLE, LETTERS_TABLE, ORDERS_TABLE
from models.aggregates import AGGREGATES
from models.aggregates.aggregate import Aggregate
from models.letters import HeldOrder, Letter
from models.order import Change, Order

Outcome = tuple[str, str | None]
"""What became of an event, and its type as far as it could be read."""


class Draft:
    """Rows as they would be, over those of the step; changes of orders, outputs, and what became of records."""

    __slots__ = ("changes", "held", "letters", "orders", "outcomes", "outputs", "step")

    def __init__(self, step: Step) -> None:
        self.step = step
        self.orders: dict[str, Order] = {}
        self.letters: dict[str, Letter | None] = {}
        self.held: dict[str, HeldOrder] = {}
        self.changes: list[Change] = []
        self.outputs: list[Output] = []
        self.outcomes: list[Outcome] = []

    def order(self, key: str) -> Order | None:
        """Return an order, None if there is none."""
        found: Order | None = self.orders.get(key) or self.step.table(ORDERS_TABLE).get(key)
        return found

    def letter(self, letter: str) -> Letter | None:
        """Return a letter by its id, None if there is none."""
        if letter in self.letters:
            return self.letters[letter]
        found: Letter | None = self.step.table(LETTERS_TABLE).get(letter)
        return found

    def known_letter(self, letter: str) -> Letter:
        """Return a letter that must be there, as others refer to it."""
        found = self.letter(letter)
        assert found is not None, f"no letter {letter}"
        return found

    def held_order(self, key: str) -> HeldOrder:
        """Return which letters concern an order."""
        return self.held.get(key) or self.step.table(HELD_TABLE).get(key) or NOTHING_HELD

    def put(self) -> None:
        """Fold the changes, and put all rows and outputs into the step. If a fold raises, nothing was put."""
        step = self.step
        totals = [(step.table(each.name), _folded(each, step, self.changes)) for each in AGGREGATES]
        for table, rows in totals:
            table.update(rows)
        step.table(ORDERS_TABLE).update(self.orders)
        for name, letter in self.letters.items():
            _put(step.table(LETTERS_TABLE), name, letter)
        for key, held in self.held.items():
            _put(step.table(HELD_TABLE), key, None if held == NOTHING_HELD else held)
        step.send_all(self.outputs)


def _folded(aggregate: Aggregate[Any], step: Step, changes: Sequence[Change]) -> dict[str, Any]:
    """Return the rows of an aggregate that changes of orders lead to."""
    table, rows = step.table(aggregate.name), {}
    for key, added in aggregate.contributions(changes).items():
        row = table.get(key)
        rows[key] = added if row is None else aggregate.merge(row, added)
    return rows


def _put(table: Changes, key: str, row: object) -> None:
    if row is None:
        table.delete(key)
    else:
        table.put(key, row)


NOTHING_HELD = HeldOrder()


class SourceRecord(Struct, gc=False):
    """The record of a letter, as it was read. See `app.engine.step.Record`."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int
    timestamp_type: int
