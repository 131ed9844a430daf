"""`faust -A app dead-letters list`."""

from typing import Any

import click
import faust
import orjson
from faust.cli import option

from app.commands._command import Command
from app.commands._state import OpenState
from app.commands.dead_letters._letters import CHOOSING, read_letters
from app.delivery.selecting import Selection
from models.letters import STATES, letter_view

OPTIONS = (
    *CHOOSING,
    option("--all", "everything", is_flag=True, help="Closed ones too (resolved, purged)."),
    option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many: the first ones that came."),
    option("--json", "as_json", is_flag=True, help="One JSON object a line."),
)
COLUMNS = ("id", "state", "cause", "event_type", "order_id", "first_failed_at", "error")
WIDEST = 60


def register(app: faust.App, open_state: OpenState) -> None:
    """Add the command to `app`."""

    @app.command(*OPTIONS, base=Command)
    async def dead_letters_list(
        self: Any, *, everything: bool, limit: int | None, as_json: bool, **choosing: Any
    ) -> None:
        """Print dead letters: the open ones, unless more is asked for.

        Reads what is committed, from the broker itself: no worker has to run.

        \b
        Examples:
          faust -A app dead-letters list
          faust -A app dead-letters list --cause invalid_event --since 2h
          faust -A app dead-letters list --json --limit 1000 | jq -r .id

        \b
        Exit codes: 0; 2 a bad option; 3, 4 or 7 the broker does not answer, has no state, or refuses; 130 Ctrl-C.
        """  # noqa: D301 - click leaves a paragraph as it is after this very character
        if everything and not choosing["states"]:
            choosing["states"] = STATES
        async with open_state() as state:
            letters = await read_letters(self, state, Selection(**choosing))
        rows = [letter_view(name, letter) for name, letter in [*letters.items()][:limit]]
        if as_json:
            lines = [orjson.dumps(row).decode() for row in rows]
        else:
            lines = _table([[str(row[column] or "") for column in COLUMNS] for row in rows])
            lines.append(
                f"{len(rows)} of {len(letters)} letters" if len(rows) < len(letters) else f"{len(rows)} letters"
            )
        if lines:
            self.say("\n".join(lines))


def _table(rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    cells = [list(COLUMNS), *([_cut(cell) for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _cut(text: str) -> str:
    printable = "".join(c if c.isprintable() else "�" for c in text)
    return printable if len(printable) <= WIDEST else printable[: WIDEST - 1] + "…"
