"""A node of the broker crashes, and is started again on its data."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class BrokerKill(Move):
    """SIGKILL of one node."""

    name: ClassVar[str] = "broker-kill"
    track: ClassVar[Track] = "broker"
    takes: ClassVar[float] = 6.0

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw a node."""
        return {"node": random.randrange(cast.nodes), "seconds": round(random.uniform(0, 3), 2)}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Return once it is back, with all its data."""
        with stage.crew.outage():
            stage.target.kill(choice["node"])
            stage.crew.restarts["brokers"] += 1
            stage.wait(choice["seconds"])
            stage.target.restart(choice["node"])
        return True
