"""What an aggregate is: rows that changes of orders add to, and that add up in any order and grouping."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from models.order import Change

Row = TypeVar("Row")


class SortKey(NamedTuple):
    """What rows can be sorted by: a value of a key, its row and a currency; None: such a row is left out.

    `of_currency`: it is money, of the currency that is asked for.
    """

    value: Callable[[str, Any, str], int | str | None]
    of_currency: bool = False


@dataclass(frozen=True, slots=True)
class Aggregate(Generic[Row]):
    """A table of totals.

    A row is a Struct of type `row`, stored as a JSON array and never changed in place. `contributions` gives what
    changes add to which rows, summed up per key, as rows; `merge` adds two rows of a key, and must be associative and
    commutative: it folds changes into a row as well as it sums the rows of a key over partitions. `view` makes what
    readers get of a key and its row. `sorts` names what lists of rows can be sorted by; without any there are none.
    """

    name: str
    row: type[Row]
    contributions: Callable[[Iterable[Change]], Mapping[str, Row]]
    merge: Callable[[Row, Row], Row]
    view: Callable[[str, Row], dict[str, Any]]
    sorts: Mapping[str, SortKey] = field(default_factory=dict)
