"""Somebody sets the clock of a worker."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.clocks import library, set_clock
from tests.faults.moves.move import Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage

SEEN_SECONDS = 1.5


class ClockJump(Move):
    """The wall clock jumps, forth or back, and later back again; clocks for measuring stay real."""

    name: ClassVar[str] = "clock-jump"
    track: ClassVar[Track] = "workers"
    weight: ClassVar[int] = 8
    takes: ClassVar[float] = SEEN_SECONDS

    def missing(self) -> str:
        """It takes libfaketime."""
        return "" if library() else "libfaketime is not installed (Debian: apt-get install libfaketime)"

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw whose, and how far."""
        ahead = random.choice([-86_400.0, -30.0, 30.0, 3_600.0, 86_400.0 * 400])
        return {"worker": random.randrange(cast.workers), "ahead": ahead, "seconds": round(random.uniform(2, 6), 2)}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if the worker runs."""
        worker = stage.crew.workers[choice["worker"]]
        set_clock(stage.folder, worker.name, choice["ahead"])
        stage.wait(choice["seconds"])
        set_clock(stage.folder, worker.name, 0)
        stage.wait(SEEN_SECONDS)
        return worker.alive
