"""Every planted defect on every broker where it can be made; and the same runs without it."""

from pathlib import Path

import pytest

from tests.faults import test_defects_in_steps, test_defects_in_take_overs, test_on_kafka
from tests.faults.catching import assert_caught, assert_exact_without
from tests.faults.conftest import Running
from tests.faults.defects import DEFECTS

pytestmark = pytest.mark.timeout(300)  # each has a time of its own, which is counted from its first event

CASES = [
    (name, broker)
    for broker in ("redis", "embedded", "kafka")
    for name, defect in DEFECTS.items()
    if broker in defect.brokers
]
OFTEN = {
    *((name, "redis") for name in (*test_defects_in_steps.NAMES, *test_defects_in_take_overs.NAMES)),
    *((name, "kafka") for name in test_on_kafka.NAMES),
}


def test_each_defect_is_tried_in_every_run_of_the_tests() -> None:
    """On one broker at least."""
    assert {name for name, _ in OFTEN} == set(DEFECTS)


@pytest.mark.long
@pytest.mark.parametrize(("name", "broker"), [case for case in CASES if case not in OFTEN])
def test_it_is_caught(name: str, broker: str, running: Running, tmp_path: Path) -> None:
    """On the other brokers too."""
    assert_caught(name, running(broker), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(("name", "broker"), CASES)
def test_without_it_all_is_exact(name: str, broker: str, running: Running, tmp_path: Path) -> None:
    """The same moves, and nothing is wrong: so it was the defect that was caught."""
    assert_exact_without(name, running(broker), tmp_path)
