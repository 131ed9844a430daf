"""A bad line: connections break at random, in the middle of messages."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import PROXIED, Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class NetTrouble(Move):
    """Each chunk of bytes may be the last of its connection, for some seconds."""

    name: ClassVar[str] = "net-trouble"
    brokers = PROXIED
    track: ClassVar[Track] = "broker"

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw how bad, and for how long."""
        return {"chance": random.choice([0.005, 0.03]), "seconds": round(random.uniform(1, 5), 2)}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if one was cut."""
        before = sum(proxy.cuts for proxy in stage.target.proxies)
        with stage.crew.outage():
            for proxy in stage.target.proxies:
                proxy.trouble = choice["chance"]
            stage.wait(choice["seconds"])
            for proxy in stage.target.proxies:
                proxy.trouble = 0.0
        return sum(proxy.cuts for proxy in stage.target.proxies) > before
