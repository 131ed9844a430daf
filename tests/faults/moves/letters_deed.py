"""Somebody works on the dead letters meanwhile: sends them again, mends them, gives them up."""

import re
from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage

PATIENCE_SECONDS = 90.0
MEND = ("--set", "timestamp=2026-11-21T12:00:00Z")
DEEDS = (
    ("redrive", "--everything"),
    ("redrive", "--cause", "illegal_transition", "--cause", "unknown_order"),
    ("redrive", "--type", "order.created", "--cause", "invalid_event", *MEND),
    ("purge", "--cause", "undecodable"),
    ("purge", "--type", "order.created", "--cause", "invalid_event"),
)


class LettersDeed(Move):
    """What it asks for is a record of the topic of orders, from which the judge knows what must have come of it."""

    name: ClassVar[str] = "letters-deed"
    track: ClassVar[Track] = "shop"
    takes: ClassVar[float] = 3.0

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw what is done, and on how many letters."""
        return {"deed": list(random.choice(DEEDS)), "limit": random.choice([1, 10, 50])}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if it was asked for."""
        options = ("--limit", str(choice["limit"]), "--wait", "0")
        command = stage.command("letters").command("dead-letters", *choice["deed"], *options, seconds=PATIENCE_SECONDS)
        told = command.stdout + command.stderr
        assert b"Traceback" not in told, told.decode(errors="replace")
        return re.search(rb"asked for [1-9]", told) is not None
