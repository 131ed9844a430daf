"""On Redis a worker asks for its share from two places: what one of them learns, the other must not miss."""

import pytest

from tests.contract.brokers.every import BROKERS, Servers
from tests.contract.brokers.redis import StreamServer
from tests.contract.brokers.server import Server
from tests.contract.conftest import NewSpace
from tests.contract.member import joined
from tests.contract.space import until

PARTITIONS = {0, 1, 2, 3}


@pytest.fixture(params=[name for name, server in BROKERS.items() if issubclass(server, StreamServer)])
def server(request: pytest.FixtureRequest, servers: Servers) -> Server:
    """A running server of each kind that understands Redis' commands."""
    return servers.get(request.param)


async def test_a_share_that_was_denied_in_between_is_given_again(new_space: NewSpace) -> None:
    """Another member comes and goes between two heartbeats; a lane that asked meanwhile has ended, and must restart."""
    settings = (await new_space(partitions=4)).settings
    async with joined(settings, "a") as first:
        await until(lambda: first.owned == PARTITIONS, what="all partitions to be the first one's")
        told = len(first.generations)
        async with joined(settings, "b", watch=False):
            denied = [partition for partition in PARTITIONS if not await first.membership.confirm(partition)]
        assert denied, "the second member got none"
        await until(lambda: first.owned == PARTITIONS and len(first.generations) > told, what="the share to come again")
