"""What integration tests share besides the broker."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def nothing_forgotten(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test that leaves an error behind which nobody looked at: a worker would log each as a traceback."""
    yield
    gc.collect()
    left = [record for when in ("setup", "call", "teardown") for record in caplog.get_records(when)]
    assert not [record.getMessage() for record in left if record.name == "asyncio"]
