"""The one module that touches the clock and chance; everything else is given a `Clock`."""

import random
import time


class Clock:
    """Real time and real chance."""

    def now(self) -> float:
        """Return seconds since 1970 (UTC)."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back, for measuring."""
        return time.monotonic()

    def uniform(self, low: float, high: float) -> float:
        """Return a number drawn evenly from `low` … `high`."""
        return random.uniform(low, high)  # noqa: S311 - jitter, not a secret
