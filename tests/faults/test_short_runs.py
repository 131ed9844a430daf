"""The harness itself, on each broker: ten seconds of moves drawn at random, and all is exact."""

from pathlib import Path

import pytest

from tests.faults.conftest import Running
from tests.faults.short import assert_exact

pytestmark = pytest.mark.timeout(300)  # each has a time of its own, which is counted from its first event


@pytest.mark.parametrize(
    "broker", ["embedded", *(pytest.param(name, marks=pytest.mark.long) for name in ("redis", "kafka3"))]
)
def test_a_short_run_is_exact(broker: str, running: Running, tmp_path: Path) -> None:
    """Whatever is done to workers, lines and the broker."""
    assert_exact(running(broker), tmp_path)
