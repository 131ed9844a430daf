"""Connections between workers and broker are cut: all, or some."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import PROXIED, Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class NetCut(Move):
    """Reset, so that neither side learns what the other has received."""

    name: ClassVar[str] = "net-cut"
    brokers = PROXIED
    track: ClassVar[Track] = "broker"
    weight: ClassVar[int] = 15

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw a node, and how many of its connections."""
        return {"node": random.randrange(cast.nodes), "share": random.choice([0.0, 0.3, 1.0])}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if there were any."""
        proxy = stage.target.proxies[choice["node"]]
        had = proxy.connections
        with stage.crew.outage():
            proxy.cut_all(choice["share"])
            stage.wait(1)
        return had > 0
