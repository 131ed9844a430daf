"""The scene that each acceptance test plays on, over each broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.scene import Scene
from tests.contract.brokers.every import BROKERS, Servers


@pytest.fixture(params=list(BROKERS))
def scene(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Scene]:
    """Topics and workers of this test alone, on the server that all tests share."""
    with Scene(servers.get(request.param), tmp_path) as scene:
        yield scene


@pytest.fixture(params=list(BROKERS))
def own_scene(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Scene]:
    """The same on a server of its own, which the test may kill."""
    with servers.own(request.param) as server, Scene(server, tmp_path) as scene:
        yield scene
