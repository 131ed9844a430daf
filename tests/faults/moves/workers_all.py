"""All workers are gone at once: a power cut, or a careless deployment."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class WorkersAll(Move):
    """SIGKILL for all, then all are started again."""

    name: ClassVar[str] = "workers-all"
    track: ClassVar[Track] = "workers"
    weight: ClassVar[int] = 4
    takes: ClassVar[float] = 6.0

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw for how long."""
        return {"seconds": round(random.choice([0.0, 2.0]), 2)}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if one had partitions."""
        had = [stage.scene.owned_by(worker) for worker in stage.crew.workers]
        with stage.crew.away(*stage.crew.workers):
            for worker in stage.crew.workers:
                worker.end()
            stage.wait(choice["seconds"])
        return any(had)
