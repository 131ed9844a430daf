"""A worker leaves its group while the server does not answer."""

import asyncio
from typing import Any

from app.transports import transport_for
from tests.contract.brokers.every import Servers
from tests.contract.member import Member
from tests.proxy import Proxy


async def test_leaving_ends_quietly_while_a_heartbeat_waits_for_its_answer(servers: Servers) -> None:
    """Its connection is not closed under it: a stop that nothing is wrong with must not end as a crash."""
    server: Any = servers.get("redis")
    with Proxy(server.port) as proxy:
        settings = server.settings(broker=proxy.broker, broker_timeout=6.0)
        await transport_for(settings.broker).prepare(settings)
        member = Member(settings, "a")
        membership: Any = member.membership
        await membership.start()
        watching = asyncio.create_task(membership.watch())
        async with asyncio.timeout(20):
            while not member.owned:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
            proxy.hold(requests=False)
            while not membership._turn.locked():  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
            await membership.stop()
            proxy.cut_all()
            await watching
        proxy.let_go()
