"""The real worker command as a child process, as a user or an orchestrator would run it."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.local_kafka import free_port

ROOT = Path(__file__).resolve().parents[2]
COUNTING = "tests.apps.counting"


class WorkerProcess:
    """`faust -A APP worker` with settings from ORDERS_* variables only. A context manager: it is killed at its end."""

    def __init__(self, *, app: str = COUNTING, log_level: str = "info", **settings: object) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="worker-"))
        self.web_port = free_port()
        self._log = self.folder / "output"
        own = {"data_dir": self.folder / "data", "web_port": self.web_port}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
        environment |= {f"ORDERS_{name.upper()}": str(value) for name, value in (own | settings).items()}
        command = [sys.executable, "-m", "faust", "-A", app, "worker", "-l", log_level]
        with self._log.open("wb") as output:
            self.began = time.monotonic()
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        """Everything it has printed so far."""
        return self._log.read_text(errors="replace")

    @property
    def errors(self) -> list[str]:
        """The lines in which it says why it gives up."""
        return [line for line in self.output.splitlines() if line.startswith("orderflow: error:")]

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def send(self, signal_: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(signal_)

    def wait(self, seconds: float) -> int:
        """Wait for its end and return the exit code; fails with its output if it does not end in time."""
        try:
            return self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end within {seconds:.1f} s:\n{self.output}") from None

    def ends(self, within: float) -> int:
        """Wait for its end, `within` seconds from its start, and return the exit code."""
        return self.wait(self.began + within - time.monotonic())

    def wait_until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait for a condition while the worker runs."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.running, f"the worker ended with {self._process.returncode}:\n{self.output}"
            assert time.monotonic() < deadline, f"it did not come true within {seconds:.0f} s:\n{self.output}"
            time.sleep(0.05)

    def wait_until_owning(self, partitions: int) -> None:
        """Wait until it has claimed and loaded as many partitions."""
        self.wait_until(lambda: len(set(re.findall(r"Partition (\d+): claimed", self.output))) >= partitions)

    def __enter__(self) -> Self:
        """Return the worker."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Kill it if it still runs."""
        if self.running:
            self._process.kill()
        self._process.wait()
