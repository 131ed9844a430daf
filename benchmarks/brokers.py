"""The brokers that the benchmarks run on, each a real server of this run alone. A broker is one class and one line."""

import asyncio
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextlib import aclosing as closing
from itertools import islice
from pathlib import Path
from typing import ClassVar

import aiokafka
import redis
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.commands._sending import key_of
from app.settings import Settings
from app.sources.samples import sample_events
from app.topics import topics_for
from app.transports import transport_for
from app.transports.redis_streams.keys import keys_for
from benchmarks.harness import Candidate, running, running_command
from tools.local_kafka import LocalKafka

PEER_EVENTS = 150_000
"""Enough for a minute of the slow loop."""

HOLDER = "group:benchmark"

SendAll = Callable[[Sequence[bytes]], None]
"""Sends some events now, in the background."""


class Broker(ABC):
    """A broker while it runs. `peers` are what its users would write without us, and each one's setting."""

    peers: ClassVar[dict[str, str]]

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for ORDERS_BROKER."""

    @property
    @abstractmethod
    def describe(self) -> str:
        """What it is, for the first line of the results."""

    def env(self, prefix: str, app_id: str, partitions: int) -> dict[str, str]:
        """Return the settings of a worker on the topics of `prefix`."""
        return {
            "ORDERS_BROKER": self.url,
            "ORDERS_TOPIC_PREFIX": prefix,
            "ORDERS_APP_ID": app_id,
            "ORDERS_PARTITIONS": str(partitions),
            "ORDERS_DATA_DIR": str(self.folder / "data"),
        }

    @abstractmethod
    def fill(self, prefix: str, partitions: int, events: Iterable[bytes]) -> None:
        """Make the orders topic and fill it."""

    @abstractmethod
    @contextmanager
    def producing(self, prefix: str, partitions: int) -> Iterator[SendAll]:
        """Send events as they come, without waiting for more."""

    @abstractmethod
    def peer(self, setting: str, prefix: str, env: dict[str, str], log: Path) -> AbstractContextManager[Candidate]:
        """Run a peer's worker; it prints `processed N`."""

    def forget(self, prefix: str, partitions: int) -> None:  # noqa: B027 - nothing to do where disks keep it all
        """Let go of a filled topic: what has been read need not be kept for another job."""

    def memory(self) -> int | None:
        """Return the bytes that the server holds in memory, where it is all there."""
        return None

    @abstractmethod
    def close(self) -> None:
        """End the server."""


class Kafka(Broker):
    """A local Kafka node."""

    peers: ClassVar = {"stock Faust, simple job, at least once": ""}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._node = LocalKafka(folder / "kafka")
        self._node.start()

    @property
    def url(self) -> str:
        """`kafka://…`."""
        return self._node.url

    @property
    def describe(self) -> str:
        """Kafka and its client."""
        return f"Kafka, aiokafka {aiokafka.__version__}"

    def fill(self, prefix: str, partitions: int, events: Iterable[bytes]) -> None:
        """By librdkafka, which is faster than our own sender."""
        topic = f"{prefix}orders"
        admin = AdminClient({"bootstrap.servers": self._node.bootstrap})
        config = {"max.message.bytes": str(16 << 20)}
        for future in admin.create_topics([NewTopic(topic, partitions, 1, config=config)]).values():
            future.result(30)
        producer = self._producer({"linger.ms": 50, "enable.idempotence": True})
        for count, event in enumerate(events):
            while True:
                try:
                    producer.produce(topic, key=key_of(event), value=event)
                    break
                except BufferError:
                    producer.poll(0.1)
            if count % 2_000 == 0:
                producer.poll(0)
        producer.flush()

    @contextmanager
    def producing(self, prefix: str, partitions: int) -> Iterator[SendAll]:
        """By librdkafka, without linger."""
        producer = self._producer({"linger.ms": 0})

        def send_all(events: Sequence[bytes]) -> None:
            for event in events:
                producer.produce(f"{prefix}orders", key=key_of(event), value=event)
            producer.poll(0)

        yield send_all
        producer.flush()

    def peer(self, setting: str, prefix: str, env: dict[str, str], log: Path) -> AbstractContextManager[Candidate]:
        """Run stock Faust over the same topic."""
        return running("benchmarks.peers.stock_faust:app", env, log)

    def _producer(self, options: dict[str, object]) -> Producer:
        common = {
            "bootstrap.servers": self._node.bootstrap,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_000_000,
        }
        return Producer(common | options)

    def close(self) -> None:
        """End the node."""
        self._node.stop()


class Embedded(Broker):
    """The embedded Valkey server."""

    peers: ClassVar = {
        "Redis tutorial loop, at least once, file synced as ours": "always",
        "Redis tutorial loop, at least once, file synced once a second": "everysec",
    }

    url = "embedded://"
    describe = f"embedded Valkey, redis-py {redis.__version__}"

    def _settings(self, prefix: str, partitions: int) -> Settings:
        folder = self.folder / "data"
        return Settings(broker=self.url, topic_prefix=prefix, partitions=partitions, data_dir=folder)

    def fill(self, prefix: str, partitions: int, events: Iterable[bytes]) -> None:
        """By our own sender. A group that never reads on keeps the topic whole, so that several jobs can read it."""
        settings = self._settings(prefix, partitions)

        async def send() -> None:
            topic = topics_for(prefix, settings.app_id).orders
            async with transport_for(self.url).open_sender(settings) as sender:
                for event in events:
                    await sender.send(topic, key_of(event), event)
                await sender.flush()
            async with closing(transport_for(self.url).server(settings).client()) as client:
                for partition in range(partitions):
                    await client.hset(keys_for(settings).offsets(topic, partition), HOLDER, 0)

        asyncio.run(send())

    @contextmanager
    def producing(self, prefix: str, partitions: int) -> Iterator[SendAll]:
        """By our own sender, in a thread of its own."""
        settings = self._settings(prefix, partitions)
        topic = topics_for(prefix, settings.app_id).orders
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()

        sender = asyncio.run_coroutine_threadsafe(
            transport_for(self.url).open_sender(settings).__aenter__(), loop
        ).result()

        async def send(events: Sequence[bytes]) -> None:
            for event in events:
                await sender.send(topic, key_of(event), event)

        def send_all(events: Sequence[bytes]) -> None:
            asyncio.run_coroutine_threadsafe(send(events), loop)

        try:
            yield send_all
            asyncio.run_coroutine_threadsafe(sender.flush(), loop).result()
            asyncio.run_coroutine_threadsafe(sender.__aexit__(), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def close(self) -> None:
        """Do nothing: the server ends with this process."""

    def forget(self, prefix: str, partitions: int) -> None:
        """Take the group away that keeps the topic whole."""
        settings = self._settings(prefix, partitions)
        topic = topics_for(prefix, settings.app_id).orders

        async def go() -> None:
            async with closing(transport_for(self.url).server(settings).client()) as client:
                for partition in range(partitions):
                    await client.hdel(keys_for(settings).offsets(topic, partition), HOLDER)

        asyncio.run(go())

    def memory(self) -> int:
        """Return used_memory, as the server has it."""
        settings = self._settings("", 1)

        async def ask() -> int:
            server = transport_for(self.url).server(settings)
            await server.ensure()
            client = server.client()
            try:
                return int((await client.info("memory"))["used_memory"])
            finally:
                await client.aclose()

        return asyncio.run(ask())

    def peer(self, setting: str, prefix: str, env: dict[str, str], log: Path) -> AbstractContextManager[Candidate]:
        """Run the loop over a stream of its own, one entry per event, as its users have it."""
        socket = transport_for(self.url).server(self._settings("", 1)).address()["unix_socket_path"]
        stream = f"{prefix}peer-{setting}"
        with redis.Redis(unix_socket_path=socket) as server:
            for chunk in _chunks(sample_events(PEER_EVENTS, seed=7, customers=1_000)):
                pipeline = server.pipeline(transaction=False)
                for event in chunk:
                    pipeline.xadd(stream, {"event": event})
                pipeline.execute()
            server.config_set("appendfsync", setting)
        return running_command([sys.executable, "-m", "benchmarks.peers.redis_loop", socket, stream], env, log)


BROKERS: dict[str, type[Broker]] = {"kafka": Kafka, "embedded": Embedded}


def _chunks(events: Iterable[bytes]) -> Iterator[list[bytes]]:
    events = iter(events)
    while chunk := list(islice(events, 1_000)):
        yield chunk
