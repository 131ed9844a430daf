"""`faust -A app dead-letters purge`."""

from typing import Any

import faust

from app.commands._command import Command
from app.commands._sending import OpenSender
from app.commands._state import OpenState
from app.commands.dead_letters._acting import ACTING, Deeds
from models.letters import Letter


def register(app: faust.App, open_state: OpenState, open_sender: OpenSender, topic: str, app_id: str) -> None:
    """Add the command to `app`."""

    @app.command(*ACTING, base=Command)
    async def dead_letters_purge(self: Any, **options: Any) -> int:
        """Give dead letters up: they are closed, and what is parked behind them follows.

        A purged letter can still be looked at (list --all) until its time is over, and its record stays in the topic of
        dead letters; it cannot be redriven any more. Ctrl-C stops asking; what was asked for is done.

        \b
        Examples:
          faust -A app dead-letters purge 2-1234
          faust -A app dead-letters purge --cause undecodable --until 7d

        \b
        Exit codes: 0 done; 1 not all of it within --wait, or some are no open letters; 2 a bad option;
        3, 4 or 7 the broker does not answer, has no state, or refuses; 130 Ctrl-C.
        """  # noqa: D301 - click leaves a paragraph as it is after this very character
        return await Deeds(self, "purge", open_state, open_sender, topic, app_id).do(options, _why_not)


def _why_not(name: str, letter: Letter | None) -> str | None:
    return None if letter is not None and letter.open else f"there is no open letter {name}"
