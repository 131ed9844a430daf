"""One more worker joins for a while, and leaves or crashes: everybody's share changes twice."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class WorkerJoin(Move):
    """Partitions move between workers that are alive and at work."""

    name: ClassVar[str] = "worker-join"
    track: ClassVar[Track] = "workers"
    takes: ClassVar[float] = 3.0

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw how long it stays, and how it leaves."""
        return {"seconds": round(random.uniform(2, 8), 2), "crash": random.random() < 0.5}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if somebody claimed something."""
        claims = stage.crew.claims()
        worker = stage.crew.add()
        stage.wait(choice["seconds"])
        if choice["crash"]:
            worker.end()
        else:
            stage.crew.dismiss(worker)
        return stage.crew.claims() > claims
