"""The disk of a node is full for a while."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.faults.disk import MORE_BYTES, missing
from tests.faults.moves.move import Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class DiskFull(Move):
    """No byte more can be written; then there is room again, and a node that ended because of it is started."""

    name: ClassVar[str] = "disk-full"
    track: ClassVar[Track] = "broker"
    weight: ClassVar[int] = 5
    takes: ClassVar[float] = 6.0

    def missing(self) -> str:
        """It takes a disk of its own for each node."""
        return missing()

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw which node's, and for how long."""
        return {"node": random.randrange(cast.nodes), "seconds": round(random.uniform(2, 7), 2)}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if the disk was full in the end."""
        disk = stage.disks[choice["node"]]
        with stage.crew.outage():
            disk.fill()
            try:
                stage.wait(choice["seconds"])
                full = disk.free() < MORE_BYTES
            finally:
                disk.make_room()
            stage.target.recover(choice["node"])
        return full
