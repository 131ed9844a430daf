"""What came of a run, for the summary."""

from collections import Counter
from typing import Any

from tests.faults.plan import Plan


class Verdict:
    """`reason` is empty if all is well; `own_fault` says what a known fault of the broker had to do with it.

    `effective` counts those moves of `played` that had an effect.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.reason = ""
        self.own_fault = ""
        self.played: Counter[str] = Counter()
        self.effective: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        self.outcomes: dict[str, int] = {}
        self.sent = 0
        self.seconds = 0.0

    @property
    def result(self) -> str:
        """In a word."""
        if self.own_fault:
            return "the broker's own fault"
        return "failed" if self.reason else "exact"

    def summary(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "result": self.result,
            "broker": self.plan.broker,
            "seed": self.plan.seed,
            "seconds": round(self.seconds, 1),
            "events": self.sent,
            "moves": {name: f"{self.effective[name]} of {n} had an effect" for name, n in sorted(self.played.items())},
            "told by workers": dict(sorted(self.told.items())),
            "tracebacks of workers": dict(self.errors),
            "restarts": dict(self.restarts),
            "outcomes": self.outcomes,
            "the broker's own fault": self.own_fault,
            "reason": self.reason.partition("\n")[0],
        }
