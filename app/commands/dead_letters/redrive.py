"""`faust -A app dead-letters redrive`."""

import sys
from pathlib import Path
from typing import Any

import click
import faust
from faust.cli import option

from app.commands._command import Command
from app.commands._sending import OpenSender
from app.commands._state import OpenState
from app.commands.dead_letters._acting import ACTING, Deeds
from app.delivery.mending import mended
from models.letters import Letter

OPTIONS = (
    *ACTING,
    option("--set", "changes", multiple=True, metavar="FIELD=VALUE", help="Change a field first (may be repeated)."),
    option("--value", "file", metavar="FILE", help="Send what is in FILE (-: standard input) instead of the record."),
    option("--original", is_flag=True, help="Send the record as it came, though it was mended."),
)


def register(app: faust.App, open_state: OpenState, open_sender: OpenSender, topic: str, app_id: str) -> None:
    """Add the command to `app`."""

    @app.command(*OPTIONS, base=Command)
    async def dead_letters_redrive(
        self: Any, *, changes: tuple[str, ...], file: str | None, original: bool, **options: Any
    ) -> int:
        """Send dead letters through again, as they are or mended.

        What is asked for is a record of the orders topic, which the workers act on once and in order, also if none runs
        now. A letter that fails again stays the same letter, with one redrive more. Parked ones follow by themselves
        once the letter before them is decided. Ctrl-C stops asking; what was asked for is done.

        \b
        Examples:
          faust -A app dead-letters redrive 2-1234
          faust -A app dead-letters redrive 2-1234 --set total_amount=12.00
          faust -A app dead-letters redrive --cause check_failed --since 2h --rate 50 --dry-run

        \b
        Exit codes: 0 done; 1 not all of it within --wait, some failed again, or cannot be redriven; 2 a bad option;
        3, 4 or 7 the broker does not answer, has no state, or refuses; 130 Ctrl-C.
        """  # noqa: D301 - click leaves a paragraph as it is after this very character
        if sum(map(bool, (changes, file, original))) > 1:
            raise click.UsageError("--set, --value and --original exclude each other.")
        for change in changes:
            if not all(change.partition("=")[:2]):
                raise click.UsageError(f"--set {change} sets nothing: write field=value.")
        given = None if file is None else _content(file)
        if given is not None and len(options["ids"]) != 1:
            raise click.UsageError("--value is for one letter: name its id.")

        def value_of(letter: Letter) -> bytes | None:
            if original:
                return letter.value
            return mended(letter.value_now, changes) if changes else given

        deeds = Deeds(self, "redrive", open_state, open_sender, topic, app_id)
        return await deeds.do(options, _why_not, value_of)


def _why_not(name: str, letter: Letter | None) -> str | None:
    if letter is None:
        return f"there is no letter {name}"
    if letter.state == "parked":
        return f"letter {name} is parked {letter.error}: redrive or purge that one, and it follows"
    return None if letter.open else f"letter {name} is closed ({letter.state})"


def _content(file: str) -> bytes:
    try:
        return (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).strip()
    except OSError as error:
        raise click.UsageError(f"cannot read {file}: {error.strerror}") from error
