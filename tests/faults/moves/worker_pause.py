"""A worker stands still for a while, and then goes on as if no time had passed."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.moves.move import Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class WorkerPause(Move):
    """SIGSTOP and SIGCONT, within its session or past it: then others have taken its partitions over."""

    name: ClassVar[str] = "worker-pause"
    track: ClassVar[Track] = "workers"
    weight: ClassVar[int] = 20

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw a worker, and for how long."""
        low, high = random.choice([(0.1, 0.6), (1.3, 2.5)])
        seconds = round(random.uniform(low, high) * cast.session, 2)
        return {"worker": random.randrange(cast.workers), "seconds": seconds, "past_session": low > 1}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if it had partitions, and past its session if somebody claimed some meanwhile."""
        worker = stage.crew.workers[choice["worker"]]
        had, claims = stage.scene.owned_by(worker), stage.crew.claims()
        worker.pause()
        try:
            stage.wait(choice["seconds"])
            return bool(had) and (not choice["past_session"] or stage.crew.claims() > claims)
        finally:
            worker.resume()
