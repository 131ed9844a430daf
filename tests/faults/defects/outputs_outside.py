"""Outputs are sent outside the transaction."""

from tests.faults.defects.defect import KILL, Defect
from tests.faults.defects.outside import plant_outside

DEFECT = Defect(
    name="outputs-outside",
    what="outputs are sent outside the transaction",
    brokers=("redis", "embedded", "kafka"),
    moves=(KILL,),
    seconds=30,
    evidence=r"order-updates .*too often",
)


def plant() -> None:
    """Send updates before the commit."""
    plant_outside(lambda topic: topic.endswith("order-updates"))
