"""`make bench`, or `python -m benchmarks --help`."""

import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from benchmarks.bench import Bench
from benchmarks.brokers import SIDES
from benchmarks.candidates import CANDIDATES
from benchmarks.machine import machine
from benchmarks.options import parse
from benchmarks.parts import PARTS
from benchmarks.report import Report, progress
from tools.errors import ToolError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for and print its tables; returns the exit code."""
    options = parse(arguments, list(SIDES), list(PARTS), [candidate.key for candidate in CANDIDATES])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    report = Report(options.json)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="orderflow-bench-", ignore_cleanup_errors=True) as folder,
            Bench(options, report, Path(folder)) as bench,
        ):
            for side in options.sides:
                for candidate in bench.candidates(side):
                    candidate.prepare()
            report.say(machine())
            report.say({each.key: each.version() for side in options.sides for each in bench.candidates(side)})
            for side in options.sides:
                for name in options.parts:
                    progress(f"{name} on {side}")
                    PARTS[name](bench, side)
                bench.close()
    except KeyboardInterrupt:
        progress("interrupted: all processes are ended")
        return 130
    except ToolError as error:
        progress(f"make bench: {error}")
        return 1
    for failure in bench.failures:
        progress(f"failed: {failure}")
    return 1 if bench.failures else 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what ends now must not be interrupted again
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
