"""`redis://`, `rediss://` and `embedded://` for any Faust app: messages over Redis Streams, at least once."""

from functools import cached_property
from typing import Any, ClassVar

from faust.transport.base import Transport
from yarl import URL

from app.transports.embedded.transport import EmbeddedTransport
from app.transports.plain_faust.consumer import PlainConsumer
from app.transports.plain_faust.producer import PlainProducer
from app.transports.plain_faust.space import Space, settings_for
from app.transports.redis_streams.transport import RedisTransport


class PlainTransport(Transport):
    """What Faust makes of the address of a broker on Redis. An Orderflow names its own transport instead."""

    Consumer: ClassVar[Any] = PlainConsumer
    Producer: ClassVar[Any] = PlainProducer

    default_port: ClassVar[int] = 6379
    driver_version = "orderflow-redis-streams"
    streams: ClassVar[type[RedisTransport]] = RedisTransport

    def __init__(self, url: list[URL], app: Any, loop: Any = None) -> None:
        super().__init__(url, app, loop)

    @cached_property
    def space(self) -> Space:
        """Where the app's topics are; raises `ImproperlyConfigured` for settings that cannot work here."""
        settings = settings_for(self.app)
        return Space(self.app, settings, self.streams.server(settings))


class PlainEmbeddedTransport(PlainTransport):
    """The same on a server of our own, in the app's data folder; `embedded:///some/folder` names another one."""

    streams = EmbeddedTransport
