"""A worker is stopped in good order, and started again."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class WorkerStop(Move):
    """SIGTERM, as every new version of the application does it."""

    name: ClassVar[str] = "worker-stop"
    track: ClassVar[Track] = "workers"
    takes: ClassVar[float] = 3.0

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw a worker."""
        return {"worker": random.randrange(cast.workers), "seconds": round(random.choice([0.0, 3.0]), 2)}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if it had partitions."""
        worker = stage.crew.workers[choice["worker"]]
        had = stage.scene.owned_by(worker)
        with stage.crew.away(worker):
            stage.crew.dismiss(worker)
            stage.wait(choice["seconds"])
        return bool(had)
