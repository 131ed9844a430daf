"""The scene that each acceptance test plays on, over each broker."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.scene import Scene
from tests.contract.brokers.every import Servers, over

PARAMS = over(long=["redis"])
"""On which brokers a test plays: a Redis server differs from the embedded one in how it is reached only. Of those tests
that take half a minute, `make test` plays each on one broker."""


@pytest.fixture(params=PARAMS)
def scene(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Scene]:
    """Topics and workers of this test alone, on the server that all tests share."""
    with Scene(servers.get(request.param), tmp_path) as scene:
        yield scene


@pytest.fixture(params=PARAMS)
def own_scene(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Scene]:
    """The same on a server of its own, which the test may kill."""
    with servers.own(request.param) as server, Scene(server, tmp_path) as scene:
        yield scene


NewScene = Callable[[Mapping[str, Any], Mapping[str, str]], Scene]


@pytest.fixture(params=PARAMS)
def new_scene(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[NewScene]:
    """Return what makes such a scene with settings and an environment of its workers."""
    with ExitStack() as stack:

        def make(settings: Mapping[str, Any], environment: Mapping[str, str]) -> Scene:
            return stack.enter_context(Scene(servers.get(request.param), tmp_path, settings, environment))

        yield make
