"""Python imports this before anything else in a process that the harness starts with a defect."""

import os
import traceback

try:
    from tests.faults.defects import VARIABLE, plant

    plant(os.environ[VARIABLE])
except BaseException:  # noqa: BLE001 - whatever it is, the process must not run
    traceback.print_exc()
    os._exit(70)  # Python would go on without the defect
