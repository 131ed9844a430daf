"""A worker crashes, and is started again after a while."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class WorkerKill(Move):
    """SIGKILL; started again at once, or only after the others have taken its partitions over."""

    name: ClassVar[str] = "worker-kill"
    track: ClassVar[Track] = "workers"
    weight: ClassVar[int] = 20
    takes: ClassVar[float] = 3.0

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw a worker."""
        away = random.choice([0.0, random.uniform(1.2, 2.5) * cast.session])
        return {"worker": random.randrange(cast.workers), "seconds": round(away, 2)}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if it had partitions."""
        worker = stage.crew.workers[choice["worker"]]
        had = stage.scene.owned_by(worker)
        with stage.crew.away(worker):
            worker.end()
            stage.wait(choice["seconds"])
        return bool(had)
