"""Waiting for a condition, with a limit: the only way in which tests wait."""

import time
from collections.abc import Callable

PAUSE_SECONDS = 0.05


def wait_until(
    condition: Callable[[], bool], seconds: float, what: str, detail: Callable[[], str] = lambda: ""
) -> None:
    """Return once `condition()` holds; fails, saying `what` was waited for, if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what} {detail()}".rstrip())
        time.sleep(PAUSE_SECONDS)
