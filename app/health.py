"""When a group of workers is well, and when somebody should look. The one place that judges; all others tell. Pure."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from app.settings import Settings


class Level(IntEnum):
    """How bad something is; the number is the exit code of the command `status`."""

    HEALTHY = 0
    WARNING = 1
    CRITICAL = 2

    @property
    def word(self) -> str:
        """Return it as people read it."""
        return self.name.lower()


class Threshold(NamedTuple):
    """From which value on something is a warning, and critical."""

    warning: float
    critical: float

    def level(self, value: float | None) -> Level:
        """Judge a value; what is not known is a warning."""
        if value is None:
            return Level.WARNING
        return Level.CRITICAL if value >= self.critical else Level.WARNING if value >= self.warning else Level.HEALTHY


class Check(NamedTuple):
    """Something that was looked at. `value` None: it is not known; `threshold` None: it is judged in another way."""

    name: str
    value: float | None
    level: Level
    threshold: Threshold | None
    text: str


class Observed(NamedTuple):
    """What is known of a group of workers; None: not known, or, of `backlog`, that the broker has no bound.

    `pending`: open letters. `lag`: records that wait in all partitions. `backlog`: the largest share of its bound that
    a partition's records take. `not_running`: partitions whose rows cannot be read; `unowned`, `silent`: of these
    those that nobody owns, and the workers that do not answer.
    """

    pending: int | None
    lag: int | None
    idle_workers: int
    backlog: float | None
    not_running: int
    unowned: int
    silent: int


def thresholds(settings: Settings) -> Mapping[str, Threshold]:
    """Return the thresholds by the names of their checks, as the settings have them."""
    return {
        "pending": Threshold(settings.pending_warning, settings.pending_critical),
        "lag": Threshold(settings.lag_warning, settings.lag_critical),
        "idle_workers": Threshold(settings.idle_workers_warning, settings.idle_workers_critical),
        "backlog": Threshold(settings.backlog_warning, settings.backlog_critical),
    }


def checks_of(seen: Observed, settings: Settings) -> Sequence[Check]:
    """Judge what is known."""
    limits = thresholds(settings)

    def check(name: str, value: float | None, text: str) -> Check:
        return Check(name, value, limits[name].level(value), limits[name], text)

    checks = [
        check("lag", seen.lag, "records wait to be read"),
        check("pending", seen.pending, "dead letters are open"),
        check("idle_workers", seen.idle_workers, "workers own no partition"),
    ]
    if seen.backlog is not None:
        checks.append(check("backlog", seen.backlog, "of what a partition may hold back is used"))
    if seen.unowned or seen.silent:
        lost = f"partitions cannot be read: {seen.unowned} have no owner, {seen.silent} workers do not answer"
        checks.append(Check("partitions", seen.not_running, Level.CRITICAL, None, lost))
    else:
        level = Level.WARNING if seen.not_running else Level.HEALTHY
        checks.append(Check("partitions", seen.not_running, level, None, "partitions are being taken over"))
    return checks


def health_view(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the health as readers get it: the worst level, and each check."""
    return {
        "level": max(check.level for check in checks).word,
        "checks": [
            {
                "name": check.name,
                "level": check.level.word,
                "value": check.value,
                "warning": None if check.threshold is None else check.threshold.warning,
                "critical": None if check.threshold is None else check.threshold.critical,
                "text": check.text,
            }
            for check in checks
        ],
    }
