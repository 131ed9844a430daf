"""Dead letters are sent outside the step."""

from tests.faults.defects.defect import Defect
from tests.faults.defects.outside import plant_outside
from tests.faults.plan import Event

DEFECT = Defect(
    name="letters-outside",
    what="dead letters are sent outside the step",
    brokers=("redis", "embedded", "kafka"),
    moves=(
        Event(1.0, "poison-flood", {"records": 600, "kind": "invalid", "seconds": 1.0}),
        Event(1.3, "worker-kill", {"worker": 0, "seconds": 0.0}),
    ),
    seconds=30,
    evidence=r"dead letter of",
)


def plant() -> None:
    """Send dead letters before the commit."""
    plant_outside(lambda topic: topic.endswith("dead-letters"))
