"""Where a plain Faust app keeps its topics: the server, its settings, and what is known of each topic."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from faust.exceptions import ImproperlyConfigured
from faust.types.tuples import TP

from app.settings import Settings
from app.transports.plain_faust.link import Link
from app.transports.redis_streams.connection import Client, RedisServer
from app.transports.redis_streams.keys import Keys, keys_for
from app.transports.redis_streams.provision import check_server, when_ready


class Topic(NamedTuple):
    """What a topic was made with. `compacted`: its last record of each key stays, for `retention_ms` (0 = for ever)."""

    name: str
    partitions: int
    compacted: bool
    retention_ms: int


class Space:
    """The topics on one server, and the link to it."""

    def __init__(self, app: Any, settings: Settings, server: RedisServer) -> None:
        self.app = app
        self.settings = settings
        self.server = server
        self.keys: Keys = keys_for(settings)
        self.link = Link(server, settings.broker_timeout)
        self._known: dict[str, Topic] = {}

    async def open(self) -> None:
        """Wait for the server and check it; raises the engine's errors."""
        await when_ready(self.server, self.keys, partial(check_server, server=self.server, keys=self.keys))

    async def close(self) -> None:
        """Disconnect."""
        await self.link.close()

    def known(self, name: str) -> Topic | None:
        """Return a topic if it was asked for before."""
        return self._known.get(name)

    async def topic(self, name: str) -> Topic:
        """Return a topic; it is made if it is not there, with the partitions that the app declares."""
        return self._known.get(name) or await self.declare(name, self._declared_partitions(name))

    async def declare(self, name: str, partitions: int, *, compacted: bool = False, retention: float = 0) -> Topic:
        """Make a topic unless it is there, `retention` in seconds, and return it as it is."""
        key = self.keys.topic(name)
        wanted = {"partitions": partitions, "compacted": int(compacted), "retention": int(retention * 1000)}

        async def make(client: Client) -> Any:
            for field, value in wanted.items():
                await client.hsetnx(key, field, str(value))
            return await client.hmget(key, list(wanted))

        found = await self.link.ask(f"making the topic {name}", make)
        topic = self._known[name] = Topic(name, int(found[0]), found[1] == b"1", int(found[2]))
        return topic

    def _declared_partitions(self, name: str) -> int:
        for topic in self.app.topics:
            if name in topic.topics and topic.partitions:
                return int(topic.partitions)
        return self.settings.partitions

    async def offsets(self, tps: Iterable[TP], field: str) -> dict[TP, int]:
        """Return a field of what is known of partitions' offsets: `end`, or how far a group is."""
        asked = list(tps)

        async def get(client: Client) -> Any:
            return [await client.hget(self.keys.offsets(*tp), field) for tp in asked]

        found = await self.link.ask(f"asking for offsets ({field})", get)
        return {tp: int(offset or 0) for tp, offset in zip(asked, found, strict=True)}

    def rows(self, topic: str, partition: int) -> str:
        """Return the key of the last record of each key of a compacted topic."""
        return f"{self.keys.stream(topic, partition)}:rows"

    def expiry(self, topic: str, partition: int) -> str:
        """Return the key that tells when rows of a compacted topic go."""
        return f"{self.keys.stream(topic, partition)}:expiry"


def settings_for(app: Any) -> Settings:
    """Return our settings for a Faust app: its own where it has them, the environment's (ORDERS_…) for the rest."""
    conf = app.conf
    if len(conf.broker) != 1:
        raise ImproperlyConfigured("name one Redis server in the broker setting")
    if conf.broker_credentials is not None:
        raise ImproperlyConfigured(
            "on Redis user and password stand in the broker's address, or in ORDERS_REDIS_USERNAME and "
            "ORDERS_REDIS_PASSWORD; files for TLS in ORDERS_REDIS_CA_FILE and the like"
        )
    if conf.processing_guarantee.value == "exactly_once":
        raise ImproperlyConfigured(
            "a plain Faust app is processed at least once on Redis: Faust's own way to do it "
            "exactly once needs Kafka's transactions"
        )
    if conf.producer_threaded:
        raise ImproperlyConfigured("producer_threaded does not work on Redis")
    (url,) = conf.broker
    folder = url.path.strip("/") if url.scheme == "embedded" else ""
    settings = Settings(
        broker="embedded://" if url.scheme == "embedded" else str(url),
        partitions=conf.topic_partitions,
        data_dir=Path(url.path) if folder else Path(conf.datadir),
        session_timeout=min(max(conf.broker_session_timeout, 1.0), 300.0),
        broker_timeout=min(max(conf.broker_request_timeout, 1.0), 600.0),
    )
    # The slash keeps such a group apart from that of an Orderflow with the same id, in which there can be none.
    return settings.model_copy(update={"app_id": f"faust/{conf.id}"})
