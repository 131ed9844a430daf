"""The scene that each acceptance test plays on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.scene import Scene
from tools.local_kafka import LocalKafka


@pytest.fixture
def scene(kafka: LocalKafka, tmp_path: Path) -> Iterator[Scene]:
    """Topics and workers of this test alone, on the broker that all tests share."""
    with Scene(kafka, tmp_path) as scene:
        yield scene


@pytest.fixture
def own_scene(kafka: LocalKafka, tmp_path: Path) -> Iterator[Scene]:
    """The same on a broker of its own, which the test may kill. It asks for `kafka` to be skipped where that is."""
    with LocalKafka(tmp_path / "kafka") as broker, Scene(broker, tmp_path) as scene:
        yield scene
