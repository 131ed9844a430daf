"""What the commands about dead letters share: which are meant, and reading them."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, ClassVar

import click
from faust.cli import option

from app.commands._command import Command
from app.commands._state import read_rows
from app.delivery.selecting import Selection, in_order, is_id
from app.topics import LETTERS_TABLE
from app.transports.contract import Snapshot
from app.views import VIEWS
from models.errors import shown
from models.letters import CAUSES, STATES, Letter

MOST_DIGITS = 9


class Time(click.ParamType):
    """A time in ISO 8601, without an offset UTC; or how long ago: 30s, 15m, 2h, 7d."""

    name = "time"
    units: ClassVar = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds since 1970."""
        if isinstance(value, float):
            return value
        number, unit = value[:-1], value[-1:]
        if unit in self.units and number.isascii() and number.isdecimal() and len(number) < MOST_DIGITS:
            return datetime.now(UTC).timestamp() - int(number) * self.units[unit]
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is no time: write 2026-11-21T12:00:00Z, or 15m for a quarter of an hour ago", param, ctx
            )
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


CAUSE_HELP = f"With this cause (may be repeated): {', '.join(CAUSES)}."

CHOOSING = (
    option("--state", "states", multiple=True, type=click.Choice(STATES), help="In this state (may be repeated)."),
    option("--cause", "causes", multiple=True, type=click.Choice(CAUSES), metavar="CAUSE", help=CAUSE_HELP),
    option("--type", "event_types", multiple=True, metavar="TYPE", help="Of this event type (may be repeated)."),
    option("--order-id", "order_ids", multiple=True, metavar="ID", help="Of this order (may be repeated)."),
    option("--customer-id", "customer_ids", multiple=True, metavar="ID", help="Of this customer (may be repeated)."),
    option("--key", "keys", multiple=True, metavar="KEY", help="Whose record has this key (may be repeated)."),
    option("--since", type=Time(), metavar="TIME", help="First failed at or after it: ISO 8601, or 15m, 2h, 7d ago."),
    option("--until", type=Time(), metavar="TIME", help="First failed before it."),
)
"""Options that say which letters are meant; together they make a `Selection`."""


def check_ids(ids: Collection[str]) -> None:
    """Raise a usage error for what is no id."""
    for name in ids:
        if not is_id(name):
            raise click.UsageError(
                f"{shown(name)} is no id of a letter: they look like 2-1234 (see dead-letters list)."
            )


async def read_letters(command: Command, state: Snapshot, selection: Selection) -> dict[str, Letter]:
    """Return the letters of a selection, in their order. Raises KeyboardInterrupt."""
    found: dict[str, Letter] = {}
    for partition in range(state.partitions):  # one by one: what is not meant need not be kept
        rows = await read_rows(command, state, [partition], LETTERS_TABLE, selection.may_mean)
        for name, letter in rows.items():
            if selection.matches(name, letter):
                VIEWS[LETTERS_TABLE].add(found, name, letter)
    return {name: found[name] for name in in_order(found)}
