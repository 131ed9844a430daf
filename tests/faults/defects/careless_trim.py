"""Records are trimmed that a group has still to read."""

import re

from app.transports.redis_streams import scripts
from tests.faults.defects.defect import Defect

DEFECT = Defect(
    name="careless-trim",
    what="records are trimmed that a group has still to read",
    brokers=("redis", "embedded"),
    moves=(),
    seconds=20,
    evidence=r"were deleted before they were read",
    rate=1_000.0,
)

BOUND = re.compile(r"local bound = .*")


def plant() -> None:
    """Trim up to the end, whoever has still to read."""
    beginning, found = BOUND.subn("local bound = last", scripts._BEGINNING)
    assert found == 1
    scripts._BEGINNING = beginning
    for name in scripts._SCRIPTS:
        scripts._SCRIPTS[name] = scripts.Script(scripts.lua(scripts.__package__ or "", name))
