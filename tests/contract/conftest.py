"""What the contract suite runs over: each broker in turn, one server of it per session."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.contract.brokers.every import BROKERS, Servers
from tests.contract.brokers.server import Server
from tests.contract.space import Space


@pytest.fixture(scope="session", params=list(BROKERS))
def server(request: pytest.FixtureRequest, servers: Servers) -> Server:
    """A running server of each broker."""
    return servers.get(request.param)


@pytest.fixture
async def space(server: Server) -> Space:
    """Topics of one partition."""
    space = Space(server)
    await space.prepare()
    return space


@pytest.fixture(autouse=True)
def _all_looked_at(nothing_forgotten: None) -> None:
    """No test leaves an error behind that nobody looked at."""


NewSpace = Callable[..., Awaitable[Space]]


@pytest.fixture
def new_space(server: Server) -> NewSpace:
    """Make topics with other settings."""

    async def make(**more: Any) -> Space:
        space = Space(server, **more)
        await space.prepare()
        return space

    return make
