"""The Faust transport on Redis Streams, exactly once."""

from functools import cache
from typing import Any, ClassVar

from faust.transport.base import Transport
from yarl import URL

from app.settings import Settings
from app.topics import topics_for
from app.transports.contract import OnAssigned, OnRevoked
from app.transports.group_consumer import GroupConsumer, IdleFetcher
from app.transports.redis_streams.broker import RedisBroker
from app.transports.redis_streams.connection import Client, RedisServer, RemoteServer
from app.transports.redis_streams.failures import translated
from app.transports.redis_streams.keys import keys_for
from app.transports.redis_streams.membership import Membership
from app.transports.redis_streams.producer import RedisProducer
from app.transports.redis_streams.provision import prepare, when_ready
from app.transports.redis_streams.sender import Sender
from app.transports.redis_streams.snapshot import Snapshot


class RedisTransport(Transport):
    """`redis://` and `rediss://` for Faust. See `app.transports.contract.Transport`."""

    Consumer: ClassVar[Any] = GroupConsumer
    Producer: ClassVar[Any] = RedisProducer
    Fetcher: ClassVar[Any] = IdleFetcher

    default_port: ClassVar[int] = 6379
    driver_version = "orderflow-redis-streams"

    def __init__(self, url: list[URL], app: Any, loop: Any = None) -> None:
        super().__init__(url, app, loop)

    @classmethod
    def server(cls, settings: Settings) -> RedisServer:
        """Return the server that the settings name: the same object for the same settings."""
        return _server(settings)

    @classmethod
    async def prepare(cls, settings: Settings) -> None:
        """Wait for the server, check it, and make the topics."""
        await prepare(cls.server(settings), settings)

    @classmethod
    async def is_unused(cls, settings: Settings) -> bool:
        """Return whether no order was ever sent to this application's topic."""
        server, keys = cls.server(settings), keys_for(settings)
        topic = topics_for(settings.topic_prefix, settings.app_id).orders

        async def look(client: Client) -> bool:
            with translated(f"asking {server.name} for the topic {topic}"):
                for partition in range(settings.partitions):
                    if await client.hexists(keys.offsets(topic, partition), "end"):
                        return False
            return True

        return await when_ready(server, keys, look)

    @classmethod
    def open_sender(cls, settings: Settings) -> Sender:
        """Return what sends records from outside of steps."""
        return Sender(cls.server(settings), settings)

    @classmethod
    def open_state(cls, settings: Settings) -> Snapshot:
        """Return what reads the committed state."""
        return Snapshot(cls.server(settings), settings)

    @classmethod
    def open_membership(
        cls, settings: Settings, web_url: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> Membership:
        """Return a place in the group of the application, not taken yet."""
        return Membership(cls.server(settings), settings, web_url, on_assigned, on_revoked)

    @classmethod
    def open_broker(cls, settings: Settings, membership: Any) -> RedisBroker:
        """Return where the members of a group claim their partitions."""
        return RedisBroker(cls.server(settings), settings, membership)


@cache
def _server(settings: Settings) -> RedisServer:
    return RemoteServer(settings)
