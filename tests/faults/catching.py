"""Says whether the harness catches a planted defect, for what it is and in time."""

import re
from pathlib import Path

from tests.faults.brokers.target import Target
from tests.faults.defects import DEFECTS
from tests.faults.playing import play


def assert_caught(name: str, target: Target, folder: Path) -> None:
    """Fail unless the defect's short run fails, with the evidence that it names, within its time."""
    defect = DEFECTS[name]
    runs = (play(defect.plan(target.name), folder / str(number), target) for number in range(defect.tries))
    told: list[str] = []
    for verdict in runs:
        if re.search(defect.evidence, verdict.reason):
            break
        told.append(verdict.reason or "nothing")
    else:
        raise AssertionError(f"{name} was not caught on {target.name} for what it is ({defect.what}), but: {told}")
    assert verdict.seconds <= defect.seconds, f"{name} was caught only after {verdict.seconds:.0f} s"


def assert_exact_without(name: str, target: Target, folder: Path) -> None:
    """Fail unless the same run without the defect is exact: only then does catching it prove anything."""
    verdict = play(DEFECTS[name].plan(target.name, planted=False), folder, target)
    assert not verdict.reason, verdict.reason
