"""The server is gone for good: nothing hangs, and nothing says that it is done."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from app.engine.errors import Unavailable, Unknown
from tests.contract.brokers.every import BROKERS, Servers, over
from tests.contract.brokers.server import Server
from tests.contract.conftest import NewSpace
from tests.contract.space import loaded, numbered, table

# Its keeper starts an embedded server again at once.
CAN_BE_AWAY = [name for name in BROKERS if name != "embedded"]


@pytest.fixture(params=over(CAN_BE_AWAY, long=["kafka"]))
def server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Server]:
    """A server that nobody else is using."""
    with servers.own(request.param) as own:
        yield own


async def test_a_server_that_stays_away_is_unavailable_in_time(new_space: NewSpace) -> None:
    """Whoever waits is told within the broker time-out; once it is back, all that was committed is there."""
    space = await new_space(broker_timeout=2.0)
    await space.send(*numbered(3))
    lease = await space.claim()
    await loaded(lease)

    async def send() -> None:
        await sender.send(space.topics.orders, b"k", b"late")
        await sender.flush()

    async with space.transport.open_sender(space.settings) as sender:
        await asyncio.to_thread(space.server.kill)
        try:
            begin = time.monotonic()
            with pytest.raises((Unknown, Unavailable)):
                await lease.commit(1, table(a=b"1"), [])
            with pytest.raises(Unavailable):
                await send()
            with pytest.raises((Unknown, Unavailable)):
                await space.claim()
            assert time.monotonic() - begin < 20
            await lease.release()
        finally:
            await asyncio.to_thread(space.server.start)
    async with space.holding() as lease:
        assert lease.next_offset in {0, 1}
