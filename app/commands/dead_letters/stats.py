"""`faust -A app dead-letters stats`."""

import time
from typing import Any

import faust
import orjson
from faust.cli import option

from app.commands._command import Command
from app.commands._state import OpenState
from app.commands.dead_letters._letters import read_letters
from app.delivery.figures import figures_of, figures_view
from app.delivery.selecting import Selection
from models.letters import STATES


def register(app: faust.App, open_state: OpenState) -> None:
    """Add the command to `app`."""

    @app.command(option("--json", "as_json", is_flag=True, help="As one JSON object."), base=Command)
    async def dead_letters_stats(self: Any, *, as_json: bool) -> None:
        """Print how many letters there are by state and cause, how old the oldest is, and how many came lately.

        \b
        Exit codes: 0; 3, 4 or 7 the broker does not answer, has no state, or refuses; 130 Ctrl-C.
        """  # noqa: D301 - click leaves a paragraph as it is after this very character
        async with open_state() as state:
            letters = await read_letters(self, state, Selection(states=STATES))
        now = time.time()
        told = figures_view(figures_of(letters.values(), now), now)
        if as_json:
            self.say(orjson.dumps(told).decode())
            return
        for title in ("states", "causes"):
            counts = told[title]
            self.say(f"{title}: " + (", ".join(f"{name} {count}" for name, count in counts.items()) or "none"))
        age = told["oldest_open_seconds"]
        self.say(f"open: {told['open']}" + ("" if age is None else f", the oldest for {age:.0f} s"))
        self.say(f"came in the last minute: {told['last_minute']}, in the last hour: {told['last_hour']}")
