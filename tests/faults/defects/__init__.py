"""The planted defects, which the harness must catch; a new one is a module of its own and a line here.

Nothing in the application knows of them: `plant` changes the running worker, by a hook that Python calls at its start.
"""

from importlib import import_module
from pathlib import Path

from tests.faults.defects.defect import Defect

VARIABLE = "FAULTS_DEFECT"
HOOK = Path(__file__).parent / "hook"

NAMES = (
    "offset-first",
    "offset-before-claim",
    "no-fence",
    "short-recovery",
    "outputs-outside",
    "letters-outside",
    "no-duplicate-check",
    "early-acknowledgement",
    "early-publication",
    "retry-unknown",
    "skip-batch",
    "forward-twice",
    "stale-read",
    "careless-trim",
)


def _module(name: str) -> str:
    return f"{__name__}.{name.replace('-', '_')}"


DEFECTS: dict[str, Defect] = {name: import_module(_module(name)).DEFECT for name in NAMES}


def defect_environment(defect: Defect) -> dict[str, str]:
    """Return what makes a worker start with a defect: Python finds our `sitecustomize` there, and imports it first."""
    return {"PYTHONPATH": str(HOOK), VARIABLE: defect.name}


def plant(name: str) -> None:
    """Make the mistake in this process."""
    import_module(_module(name)).plant()
