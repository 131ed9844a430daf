"""The planted defects, which the harness must catch; a new one is a module of its own and an entry here."""

from pathlib import Path

from tests.faults.defects.defect import Defect

VARIABLE = "FAULTS_DEFECT"
HOOK = Path(__file__).parent / "hook"

DEFECTS: dict[str, Defect] = {}


def defect_environment(defect: Defect) -> dict[str, str]:
    """Return what makes a worker start with a defect: Python finds our `sitecustomize` there, and imports it first."""
    return {"PYTHONPATH": str(HOOK), VARIABLE: defect.name}
