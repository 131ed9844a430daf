"""What people ask to be done with dead letters: checked here, done by the worker that has them, in a step."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from app.delivery.actions import Action, Deed, now_text
from app.delivery.selecting import partition_of
from app.engine.errors import EngineError
from app.web.errors import ApiError, not_ready
from app.web.reading.letters import letters_of
from app.web.reading.whole import Reading
from models.errors import shown
from models.letters import Letter

MOST = 1_000
"""Most letters that one request can ask a deed for."""

ASK_SECONDS = 10.0

Ask = Callable[[Sequence[tuple[int, Action]]], Awaitable[None]]
"""Sends actions, each to its partition. Raises the engine's errors."""

Mend = Callable[[str, Letter], bytes]
"""Returns the value that a letter of that id is to be tried with. Raises `ApiError`."""


class Deeds:
    """Asks for deeds. They are done soon after, or not at all if the letters have changed meanwhile."""

    def __init__(self, reading: Reading, ask: Ask, app_id: str) -> None:
        self._reading = reading
        self._ask = ask
        self._app_id = app_id

    async def ask_for(self, which: Deed, names: Iterable[str], by: str, mend: Mend | None = None) -> int:
        """Ask for a deed; returns for how many letters.

        Raises `ApiError`: 409 if it is not possible for one of them, and then none is asked for; 503.
        """
        wanted = list(names)
        letters = await letters_of(self._reading, frozenset(wanted), brief=mend is None)
        hopeless = [name for name in wanted if not is_possible(which, letters.get(name))]
        if hopeless:
            listed = ", ".join(map(shown, hopeless[:10]))
            raise ApiError(409, "not_open", f"{which} is not possible for {listed}: closed, parked, or no letters")
        actions = []
        for name, letter in letters.items():
            value = mend(name, letter) if mend is not None else None
            actions.append((partition_of(name, letter), Action(which, [name], by, now_text(), self._app_id, value)))
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._ask(actions)
        except (EngineError, TimeoutError) as error:
            text = str(error) or f"the broker has not taken it within {ASK_SECONDS:g} s"
            raise not_ready(f"{text}; how much of it was asked for is not known: look, and ask again") from error
        return len(letters)


def is_possible(deed: Deed, letter: Letter | None) -> bool:
    """Whether a deed can be asked for: what is closed stays so, and what is parked follows the head of its queue."""
    return letter is not None and letter.open and (deed == "purge" or letter.state != "parked")
