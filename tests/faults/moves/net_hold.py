"""A line that swallows: requests, answers or both do not come through for a while; then all does, or nothing."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import PROXIED, Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class NetHold(Move):
    """With answers held and then cut, commits are done whose workers never hear of it."""

    name: ClassVar[str] = "net-hold"
    brokers = PROXIED
    track: ClassVar[Track] = "broker"
    weight: ClassVar[int] = 15

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw a node, the direction, for how long, and how it ends."""
        requests, answers = random.choice([(True, False), (False, True), (True, True)])
        seconds = random.choice([0.5, 2.0, 6.0, 11.0])
        cut = random.random() < 0.6
        node = random.randrange(cast.nodes)
        return {"node": node, "requests": requests, "answers": answers, "cut": cut, "seconds": seconds}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if anybody was connected."""
        proxy = stage.target.proxies[choice["node"]]
        had = proxy.connections
        with stage.crew.outage():
            proxy.hold(requests=choice["requests"], answers=choice["answers"])
            try:
                stage.wait(choice["seconds"])
                if choice["cut"]:
                    proxy.cut_all()
            finally:
                proxy.let_go()
            stage.wait(0.5)
        return had > 0
