"""When something is tried again: how often, after which pauses, and for how long in all."""

import pytest

from models.retry import RetryPolicy

POLICY = RetryPolicy(attempts=5, first_ceiling=5.0, highest_ceiling=300.0, total=3_600.0)


def test_ceilings_grow_by_four_up_to_the_highest() -> None:
    """5, 20, 80 and then no more than the highest."""
    policy = POLICY._replace(attempts=10)
    assert [policy.pause(n, 0.0, None, 1.0) for n in range(1, 7)] == [5.0, 20.0, 80.0, 300.0, 300.0, 300.0]


@pytest.mark.parametrize("drawn", [0.0, 0.25, 1.0])
def test_a_pause_is_any_part_of_its_ceiling(drawn: float) -> None:
    """So that those that failed together do not come back together."""
    assert POLICY.pause(2, 0.0, None, drawn) == drawn * 20.0


def test_after_the_last_attempt_it_gives_up() -> None:
    """The fifth failure is the last."""
    assert POLICY.pause(4, 0.0, None, 0.0) is not None
    assert POLICY.pause(5, 0.0, None, 0.0) is None


def test_what_was_only_put_off_is_no_attempt() -> None:
    """It goes on, also where a try would be the last."""
    assert POLICY.pause(5, 0.0, None, 0.0, tried=False) == 0.0
    assert POLICY.pause(0, 0.0, None, 1.0, tried=False) == 5.0


def test_the_pause_that_was_asked_for_comes_first() -> None:
    """And jitter on top of it, so that it is kept by all."""
    assert POLICY.pause(1, 0.0, 7.0, 0.0) == 7.0
    assert POLICY.pause(1, 0.0, 7.0, 1.0) == 12.0


@pytest.mark.parametrize(("waited", "goes_on"), [(3_595.0, True), (3_595.1, False), (1e9, False)])
def test_what_would_come_after_the_total_is_not_tried(waited: float, goes_on: bool) -> None:
    """Nothing is tried for ever."""
    assert (POLICY.pause(1, waited, None, 1.0) is not None) is goes_on


def test_a_pause_longer_than_the_total_ends_it_at_once() -> None:
    """Whoever asks for a day is not waited for."""
    assert POLICY.pause(1, 0.0, 86_400.0, 0.0) is None


def test_many_failures_are_no_overflow() -> None:
    """A policy may allow any number of attempts."""
    assert RetryPolicy(attempts=10**9).pause(10**6, 0.0, None, 1.0) == 300.0
