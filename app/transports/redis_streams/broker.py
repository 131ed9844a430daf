"""The Redis side of the engine's `Broker`."""

import asyncio

from app.engine.errors import Unavailable
from app.settings import Settings
from app.topics import topics_for
from app.transports.redis_streams.connection import RedisServer, translated
from app.transports.redis_streams.keys import keys_for
from app.transports.redis_streams.lease import RedisLease
from app.transports.redis_streams.membership import Membership
from app.transports.redis_streams.scripts import Scripts

PATIENCE_SECONDS = 4.0
"""How long a living owner may take to end its step and give the partition up, before it is claimed all the same."""

ASK_SECONDS = 0.05


class RedisBroker:
    """See `app.engine.broker.Broker`."""

    def __init__(self, server: RedisServer, settings: Settings, membership: Membership) -> None:
        self._server = server
        self._settings = settings
        self._membership = membership
        self._topics = topics_for(settings.topic_prefix, settings.app_id)
        self._keys = keys_for(settings)

    async def claim(self, partition: int) -> RedisLease:
        """Take the partition over, once its owner gave it up, died, or had time enough."""
        keys, topic = self._keys, self._topics.orders
        names = [
            keys.lease(partition),
            keys.members,
            keys.offsets(topic, partition),
            keys.stream(topic, partition),
            keys.state(partition),
        ]
        client = self._server.client()
        try:
            claimed = await self._ask(Scripts(client), partition, names)
        except BaseException:
            await client.aclose()
            raise
        return RedisLease(client, self._settings, self._topics, keys, partition, self._membership.worker, claimed)

    async def _ask(self, scripts: Scripts, partition: int, names: list[str]) -> list[int]:
        """Return what the server says of the claimed partition."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            waited = loop.time() - started
            args = [self._membership.worker, self._keys.group_field, "1" if waited > PATIENCE_SECONDS else "0"]
            try:
                with translated(f"claiming partition {partition}"):
                    answer, *claimed = await scripts("claim", names, args)
                if answer == b"claimed":
                    return [int(number) for number in claimed]
            except Unavailable:
                if waited > self._settings.broker_timeout:
                    raise
                await self._server.ensure()
            await asyncio.sleep(ASK_SECONDS)

    async def confirm(self, partition: int) -> bool:
        """Ask the server whether this worker still owns the partition."""
        return await self._membership.confirm(partition)
