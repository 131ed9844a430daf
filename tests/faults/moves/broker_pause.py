"""A node of the broker stands still: connections stay, answers do not come."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class BrokerPause(Move):
    """SIGSTOP and SIGCONT."""

    name: ClassVar[str] = "broker-pause"
    track: ClassVar[Track] = "broker"

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw a node, and for how long: past a third of the broker time-out commits are given up."""
        return {"node": random.randrange(cast.nodes), "seconds": round(random.choice([1.0, 4.0, 12.0]), 2)}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if it ran."""
        with stage.crew.outage():
            pid = stage.target.pause(choice["node"])
            try:
                stage.wait(choice["seconds"])
            finally:
                stage.target.resume(pid)
        return True
