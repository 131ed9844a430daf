"""What a run leaves behind is found, however it was told of the run's folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.leftovers import processes_of
from tests.waiting import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.mark.parametrize("told", ["by its command line", "by where it works", "by its environment"])
def test_a_process_is_found(told: str, tmp_path: Path) -> None:
    """And is gone from the list once it has ended."""
    command = [*SLEEP, str(tmp_path)] if told == "by its command line" else SLEEP
    folder = tmp_path if told == "by where it works" else Path.cwd()
    environment = os.environ | ({"FOLDER": str(tmp_path)} if told == "by its environment" else {})
    with subprocess.Popen(command, cwd=folder, env=environment) as process:
        try:
            wait_until(lambda: bool(processes_of(tmp_path)), 10, "the process to be found")
            assert [line.partition(":")[0] for line in processes_of(tmp_path)] == [str(process.pid)]
        finally:
            process.kill()
    assert processes_of(tmp_path) == []
