"""The Redis side of the engine's `Broker`."""

import asyncio
import logging

from app.engine.errors import Inconsistent, Unavailable
from app.settings import Settings
from app.topics import topics_for
from app.transports.redis_streams.connection import RedisServer
from app.transports.redis_streams.failures import translated
from app.transports.redis_streams.keys import Keys, keys_for
from app.transports.redis_streams.lease import RedisLease
from app.transports.redis_streams.membership import Membership
from app.transports.redis_streams.provision import ensure_topics
from app.transports.redis_streams.scripts import Session

log = logging.getLogger(__name__)

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
        self._leases: dict[int, RedisLease] = {}  # the last one of each partition

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
        session = Session(self._server)
        try:
            claimed = await self._ask(session, partition, names)
        except BaseException:
            await session.client.aclose()
            raise
        lease = RedisLease(
            session.client, self._settings, self._topics, keys, partition, self._membership.worker, claimed
        )
        before, self._leases[partition] = self._leases.get(partition), lease
        if before is not None and before.next_offset > lease.next_offset:
            log.error(
                "Partition %d: the server went back from offset %d to %d: it has older data, or none; going on there",
                partition,
                before.next_offset,
                lease.next_offset,
            )
        return lease

    async def _ask(self, session: Session, partition: int, names: list[str]) -> list[int]:
        """Return what the server says of the claimed partition."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            waited = loop.time() - started
            args = [self._membership.worker, self._keys.group_field, "1" if waited > PATIENCE_SECONDS else "0"]
            client = session.client
            try:
                with translated(f"claiming partition {partition}"):
                    await ensure_topics(client, self._keys, self._settings)  # a server that lost its data has none
                    answer, *claimed = await session.scripts("claim", names, args)
                if answer == b"claimed":
                    return [int(number) for number in claimed]
                if answer == b"torn":
                    raise Inconsistent(_torn(partition, claimed[0].decode(), self._keys))
            except Unavailable:
                if waited > self._settings.broker_timeout:
                    raise
                await session.renew(client)
            await asyncio.sleep(ASK_SECONDS)

    async def confirm(self, partition: int) -> bool:
        """Ask the server whether this worker still owns the partition."""
        return await self._membership.confirm(partition)


def _torn(partition: int, what: str, keys: Keys) -> str:
    return (
        f"partition {partition} is not as its last commit left it: {what}. Something changed or deleted keys of "
        f"{keys.tag}:*; restore them, or delete {keys.state(partition)}, {keys.lease(partition)} and the field "
        f"{keys.group_field} of the offsets to count the records that are left anew, or use another ORDERS_APP_ID"
    )
