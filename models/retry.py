"""When something that failed for the moment is tried again: a frozen policy, whose decision is a value."""

from typing import NamedTuple


class RetryPolicy(NamedTuple):
    """Exponential pauses with full jitter: each is drawn evenly from nothing to a ceiling that grows.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog. All times in seconds.
    """

    attempts: int = 5
    """How often it is tried in all, the first time among them."""
    first_ceiling: float = 5.0
    """Ceiling of the pause after the first failure; each further one is four times as high."""
    highest_ceiling: float = 300.0
    total: float = 3_600.0
    """After so long since the first failure it is not tried again."""

    def pause(
        self, failures: int, waited: float, retry_after: float | None, drawn: float, *, tried: bool = True
    ) -> float | None:
        """Return the pause before the next attempt, None: give up.

        Args:
            failures: how often it has failed by now, at least once.
            waited: time since the first failure.
            retry_after: the least pause that whoever failed has asked for.
            drawn: a number from 0 to 1, by chance.
            tried: whether it was tried now, or only put off: that counts as no attempt.
        """
        if tried and failures >= self.attempts:
            return None
        ceiling = min(self.highest_ceiling, self.first_ceiling * 4.0 ** min(max(failures - 1, 0), 60))
        pause = (retry_after or 0.0) + drawn * ceiling
        return pause if waited + pause <= self.total else None
