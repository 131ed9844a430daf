"""The harness on a lone Kafka: a defect that only Kafka can have, in every run of the tests, and a short run."""

from pathlib import Path

import pytest

from tests.faults.catching import assert_caught
from tests.faults.conftest import Running
from tests.faults.short import assert_exact

pytestmark = pytest.mark.timeout(300)  # each has a time of its own, which is counted from its first event

NAMES = ("offset-before-claim",)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_caught(name: str, running: Running, tmp_path: Path) -> None:
    """In a short run."""
    assert_caught(name, running("kafka"), tmp_path)


@pytest.mark.long
def test_a_short_run_is_exact(running: Running, tmp_path: Path) -> None:
    """Ten seconds of moves drawn at random."""
    assert_exact(running("kafka"), tmp_path)
