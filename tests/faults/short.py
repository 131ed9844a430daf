"""A short run for the tests: the same moves every time, of those that are quickly over."""

from pathlib import Path

from tests.faults.brokers.target import Target
from tests.faults.moves import MOVES
from tests.faults.moves.move import Cast
from tests.faults.plan import Plan, planned
from tests.faults.playing import play, playable, say

SECONDS = 10.0
SESSION_SECONDS = 2.0
SEED = 4
TOO_SLOW = {"broker-pause", "disk-full", "net-hold", "workers-all"}


def assert_exact(target: Target, folder: Path) -> None:
    """Fail unless all is exact at its end, and some moves had an effect.

    A run that a known fault of the broker ended, as the broker's own tool says, tells nothing: it is made once more.
    """
    plan = Plan(target.name, SEED, SECONDS, 2, settings={"session_timeout": SESSION_SECONDS})
    moves = playable((name for name in MOVES if name not in TOO_SLOW), target.name)
    plan = planned(plan, moves, Cast(plan.workers, target.nodes, SESSION_SECONDS))
    verdict = play(plan, folder / "run", target)
    if verdict.own_fault:
        say(f"once more, as {verdict.own_fault}")
        verdict = play(plan, folder / "again", target)
    assert not verdict.reason, f"{verdict.reason} (the broker's own fault: {verdict.own_fault or 'none'})"
    assert verdict.effective.total() > 0
