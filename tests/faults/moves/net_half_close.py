"""Connections are closed in one direction: the server hears of it, the client does not."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import PROXIED, Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class NetHalfClose(Move):
    """All connections of a node."""

    name: ClassVar[str] = "net-half-close"
    brokers = PROXIED
    track: ClassVar[Track] = "broker"
    weight: ClassVar[int] = 6

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw a node."""
        return {"node": random.randrange(cast.nodes)}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if there were any."""
        proxy = stage.target.proxies[choice["node"]]
        had = proxy.connections
        with stage.crew.outage():
            proxy.half_close_all()
            stage.wait(1)
        return had > 0
