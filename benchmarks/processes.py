"""A candidate's processes: started in a session of their own, measured and ended together. Linux only (/proc)."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 20.0
ROOT = Path(__file__).parents[1]
PROC = Path("/proc")


class Stat(NamedTuple):
    """What /proc tells of a process. Times in clock ticks: its own, and those of its children that it waited for."""

    parent: int
    session: int
    own: int
    waited: int


class ProcessEndedError(RuntimeError):
    """A candidate ended while it was still needed; the text holds the end of its log."""


class Session:
    """One command and all processes that come of it. A context manager: at its end none of them is left."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.started = time.monotonic()
        self._file = log.open("ab")
        self._seen: dict[int, Stat] = {}
        self._lost = 0
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**_clean_environment(), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The first process, which leads the session."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Return the user and system time of all processes so far, those that have ended among them."""
        now = self._settled()
        for pid, last in self._seen.items():
            # Whoever is still there has waited for its children, and /proc counts their time as the parent's.
            if pid not in now and not self._has_living_ancestor(last, now):
                self._lost += last.own + last.waited
        self._seen = now
        return (self._lost + sum(stat.own + stat.waited for stat in now.values())) / CLOCK_TICKS

    def resident_bytes(self) -> int:
        """Return the memory that the processes hold now; pages that several share are divided among them (PSS)."""
        return sum(_pss(pid) for pid in self._members())

    def check_alive(self) -> None:
        """Raise `ProcessEndedError` if the first process has ended."""
        if self._process.poll() is not None:
            raise ProcessEndedError(f"it ended with {self._process.returncode}:\n{self.text()[-3_000:]}")

    def text(self) -> str:
        """Return what the processes have printed."""
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """Ask the first process to end, then end whatever is left of the session."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pid in self._members():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._file.close()

    def __enter__(self) -> Self:
        """Return the running session."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()

    def _has_living_ancestor(self, stat: Stat, living: Mapping[int, Stat]) -> bool:
        while stat.parent not in living:
            above = self._seen.get(stat.parent)
            if above is None:
                return False
            stat = above
        return True

    def _settled(self) -> dict[int, Stat]:
        """Return the processes of one moment.

        While a child's time moves to its parent, one reading may hold it twice or not at all. So a reading counts once
        the next one finds the same processes: none of them had been waited for.
        """
        now = self._members()
        while (after := self._members()).keys() != now.keys():
            now = after
        return now

    def _members(self) -> dict[int, Stat]:
        return {pid: stat for pid, stat in _all_processes() if stat.session == self.pid}


def _all_processes() -> Iterator[tuple[int, Stat]]:
    for entry in os.listdir(PROC):  # noqa: PTH208 - ten times a second: no Path for each
        if entry.isdigit() and (stat := _stat(int(entry))) is not None:
            yield int(entry), stat


def _stat(pid: int) -> Stat | None:
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Fields 4, 6 and 14 to 17 of proc_pid_stat(5); the split begins with field 3.
    return Stat(int(fields[1]), int(fields[3]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14]))


def _pss(pid: int) -> int:
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1_024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
