"""`faust -A app dead-letters show`."""

from typing import Any

import faust
import orjson
from faust.cli import argument

from app.commands._command import Command
from app.commands._state import OpenState
from app.commands.dead_letters._letters import check_ids, read_letters
from app.delivery.selecting import Selection
from models.errors import shown
from models.letters import STATES, whole_letter_view

UNKNOWN = 1


def register(app: faust.App, open_state: OpenState) -> None:
    """Add the command to `app`."""

    @app.command(argument("ids", nargs=-1, required=True, metavar="ID…"), base=Command)
    async def dead_letters_show(self: Any, ids: tuple[str, ...]) -> int:
        """Print all there is about letters: the record as it came, the error, and what has happened since.

        \b
        Example:
          faust -A app dead-letters show 2-1234

        \b
        Exit codes: 0 all printed; 1 there is no such letter; 2 a bad id;
        3, 4 or 7 the broker does not answer, has no state, or refuses; 130 Ctrl-C.
        """  # noqa: D301 - click leaves a paragraph as it is after this very character
        check_ids(ids)
        async with open_state() as state:
            letters = await read_letters(self, state, Selection(frozenset(ids), STATES))
        for name in filter(letters.__contains__, ids):
            self.say(orjson.dumps(whole_letter_view(name, letters[name]), option=orjson.OPT_INDENT_2).decode())
        unknown = [shown(name) for name in ids if name not in letters]
        if unknown:
            self.complain(f"there is no letter {', '.join(unknown)}")
            return UNKNOWN
        return 0
