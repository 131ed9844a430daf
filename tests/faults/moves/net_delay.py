"""A slow line: every chunk of bytes takes its time."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import PROXIED, Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class NetDelay(Move):
    """For some seconds."""

    name: ClassVar[str] = "net-delay"
    brokers = PROXIED
    track: ClassVar[Track] = "broker"

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw how slow, and for how long."""
        return {"delay": random.choice([0.02, 0.1, 0.4]), "seconds": round(random.uniform(2, 8), 2)}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if anybody was connected."""
        with stage.crew.outage():
            for proxy in stage.target.proxies:
                proxy.delay = choice["delay"]
            stage.wait(choice["seconds"])
            for proxy in stage.target.proxies:
                proxy.delay = 0.0
        return any(proxy.connections for proxy in stage.target.proxies)
