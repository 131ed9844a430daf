"""Watches a worker on its way through a topic, ten times a second."""

import time
from collections.abc import Callable

from benchmarks.candidates.candidate import Worker
from benchmarks.figures import Drained, Sample, drained

POLL_SECONDS = 0.1
STUCK_SECONDS = 120.0
"""Until a worker that has committed nothing more is given up."""


class StuckError(RuntimeError):
    """A worker did not do what it should in time; the text holds the end of its log."""


def drain(worker: Worker, total: int, begin: int = 0) -> Drained:
    """Wait until `total` events are committed and return the figures of those from event `begin` on."""
    samples: list[Sample] = []
    moved = time.monotonic()
    while True:
        worker.session.check_alive()
        done, at = worker.done(), time.monotonic()
        if done is not None and done > (samples[-1].done if samples else begin):
            samples.append(Sample(at, done, worker.session.cpu_seconds()))
            moved = at
            if done >= total:
                return drained(samples, worker.session.started, total, begin)
        elif at - moved > STUCK_SECONDS:
            raise StuckError(f"nothing was committed for {STUCK_SECONDS:.0f} s:\n{worker.session.text()[-3_000:]}")
        time.sleep(POLL_SECONDS)


def wait_until(worker: Worker, condition: Callable[[], bool], what: str, pause: float = 0.02) -> float:
    """Wait for a condition; returns the seconds since the worker's process was started."""
    give_up = time.monotonic() + STUCK_SECONDS
    while not condition():
        worker.session.check_alive()
        if time.monotonic() > give_up:
            raise StuckError(f"no {what} within {STUCK_SECONDS:.0f} s:\n{worker.session.text()[-3_000:]}")
        time.sleep(pause)
    return time.monotonic() - worker.session.started
