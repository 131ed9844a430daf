"""Plans: made from a seed, kept in a file, played again."""

from pathlib import Path

import pytest

from tests.faults.brokers import TARGETS
from tests.faults.moves import MOVES
from tests.faults.moves.move import Cast, Move
from tests.faults.plan import CALM_SECONDS, Plan, planned


def _plan(seed: int, broker: str = "kafka3") -> Plan:
    return planned(Plan(broker, seed, 120.0), MOVES.values(), Cast(3, 3, 4.0))


def test_a_seed_makes_one_plan() -> None:
    """The same every time, and another one for another seed."""
    assert _plan(1) == _plan(1)
    assert _plan(1).events != _plan(2).events


def test_a_plan_can_be_kept_and_read_back(tmp_path: Path) -> None:
    """Nothing of it is lost."""
    file = tmp_path / "plan.jsonl"
    file.write_text("\n".join(_plan(3).lines()))
    assert Plan.load(file).lines() == _plan(3).lines()


def test_moves_come_in_the_order_of_time_and_end_before_the_run_does() -> None:
    """On every track there is something to do."""
    plan = _plan(4)
    times = [event.at for event in plan.events]
    assert times == sorted(times)
    assert max(times) < plan.seconds - CALM_SECONDS
    assert {MOVES[event.move].track for event in plan.events} == {"workers", "broker", "shop"}


def test_in_the_long_run_every_move_is_made() -> None:
    """None is so rare that an hour goes by without it."""
    plan = planned(Plan("kafka3", 5, 3_600.0), MOVES.values(), Cast(3, 3, 4.0))
    assert {event.move for event in plan.events} == set(MOVES)


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_each_move_is_for_brokers_that_there_are(move: Move) -> None:
    """A misspelt broker would mean that it is never made."""
    assert move.brokers
    assert set(move.brokers) <= set(TARGETS)
