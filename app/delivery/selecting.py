"""Which letters are meant: by id, state, cause, event type, order, customer, key of the record, and time. Pure."""

import re
from collections.abc import Iterable

from msgspec import Struct

from models.letters import OPEN, Letter


class Selection(Struct, frozen=True, omit_defaults=True):
    """Letters for which all that is given holds; of several values, one must. Times in seconds since 1970.

    `since` and `until` are about the first failure. Without `states`, and without `ids`, open letters are meant.
    """

    ids: frozenset[str] = frozenset()
    states: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    order_ids: tuple[str, ...] = ()
    customer_ids: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None

    def may_mean(self, name: str) -> bool:
        """Whether a letter of that id may be among them."""
        return not self.ids or name in self.ids

    def matches(self, name: str, letter: Letter) -> bool:
        """Whether a letter is among them."""
        if not self.may_mean(name) or not (self.ids or self.states or letter.state in OPEN):
            return False
        wanted = (
            (self.states, letter.state),
            (self.causes, letter.cause),
            (self.event_types, letter.event_type),
            (self.order_ids, letter.order_id),
            (self.customer_ids, letter.customer_id),
            (self.keys, None if letter.key is None else letter.key.decode(errors="replace")),
        )
        if any(values and value not in values for values, value in wanted):
            return False
        after = self.since is None or letter.first_failed_at >= self.since
        return after and (self.until is None or letter.first_failed_at < self.until)


def in_order(names: Iterable[str]) -> list[str]:
    """Return ids of letters as their records came, partition after partition."""
    return sorted(names, key=place_of)


def place_of(name: str) -> tuple[int, int]:
    """Return the partition and the offset that a letter's record came from."""
    partition, _, offset = name.partition("-")
    return int(partition), int(offset)


def is_id(text: str) -> bool:
    """Whether a text may be the id of a letter."""
    return re.fullmatch("[0-9]{1,9}-[0-9]{1,18}", text) is not None


def partition_of(name: str, letter: Letter) -> int:
    """Return the partition in which a letter lies."""
    return place_of(name)[0] if letter.home is None else letter.home
