"""Defects in how partitions are taken over, and in what is made of lost answers: each must be caught."""

from pathlib import Path

import pytest

from tests.faults.catching import assert_caught
from tests.faults.conftest import Running

pytestmark = pytest.mark.timeout(300)  # each has a time of its own, which is counted from its first event

NAMES = ("no-fence", "short-recovery", "early-publication", "retry-unknown", "stale-read", "early-acknowledgement")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_caught(name: str, running: Running, tmp_path: Path) -> None:
    """In a short run on a Redis server."""
    assert_caught(name, running("redis"), tmp_path)
