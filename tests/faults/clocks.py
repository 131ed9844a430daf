"""A wall clock of each worker's own, which the harness can set: by libfaketime, where that is installed.

Clocks for measuring (CLOCK_MONOTONIC) stay real, as they do when somebody sets a machine's clock.
"""

from collections.abc import Mapping
from pathlib import Path

LIBRARIES = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"),
)


def library() -> Path | None:
    """Return where libfaketime is, if it is (Debian: package libfaketime)."""
    return next((path for path in LIBRARIES if path.exists()), None)


def clock_environment(folder: Path, worker: str) -> Mapping[str, str]:
    """Return what gives a worker a clock of its own; nothing where that cannot be done."""
    found = library()
    if found is None:
        return {}
    set_clock(folder, worker, 0)
    return {
        "LD_PRELOAD": str(found),
        "FAKETIME_TIMESTAMP_FILE": str(_file(folder, worker)),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
        "NO_FAKE_STAT": "1",
    }


def set_clock(folder: Path, worker: str, ahead: float) -> None:
    """Let a worker's clock be so many seconds ahead (negative: behind); it sees that within a second or so."""
    file = _file(folder, worker)
    new = file.with_suffix(".new")
    new.write_text(f"{ahead:+.1f}s\n")
    new.replace(file)


def _file(folder: Path, worker: str) -> Path:
    return folder / f"{worker}.clock"
