"""Topics on a Redis or Valkey server: filled by our own sender, and kept whole so that several runs can read them."""

import asyncio
from abc import abstractmethod
from typing import Any

from redis import Redis

from app.commands._sending import key_of
from app.settings import Settings
from app.topics import topics_for
from app.transports import transport_for
from app.transports.redis_streams.keys import keys_for
from benchmarks.brokers.broker import Broker
from benchmarks.workload import Workload

HOLDER = "group:benchmark"
"""A group that never reads on: what it has not read is not trimmed."""
MAX_BACKLOG = 20_000_000
KEYS_AT_ONCE = 1_000


class StreamsBroker(Broker):
    """What a Redis server and the embedded one have in common."""

    @abstractmethod
    def client(self) -> "Redis":
        """Return a connected client of the database that Orderflow uses."""

    def settings(self, prefix: str, app_id: str, partitions: int) -> dict[str, str]:
        """Return the environment of a worker."""
        return super().settings(prefix, app_id, partitions) | {"ORDERS_REDIS_MAX_BACKLOG": str(MAX_BACKLOG)}

    def fill(self, workload: Workload) -> None:
        """By our own sender."""
        settings = self._settings(workload.prefix, workload.partitions)
        topic = topics_for(settings.topic_prefix, settings.app_id).orders

        async def send() -> None:
            async with transport_for(self.url).open_sender(settings) as sender:
                for event in workload.lines():
                    await sender.send(topic, key_of(event), event)
                await sender.flush()

        asyncio.run(send())
        with self.client() as client:
            for partition in range(workload.partitions):
                client.hset(keys_for(settings).offsets(topic, partition), HOLDER, 0)

    def drop(self, workload: Workload) -> None:
        """Delete every key under the topic's prefix."""
        settings = self._settings(workload.prefix, workload.partitions)
        self._delete(f"{keys_for(settings).tag}:*")

    def forget_run(self, prefix: str, app_id: str, partitions: int) -> None:
        """Delete the run's state and outputs: they are held in memory."""
        keys = keys_for(self._settings(prefix, partitions, app_id))
        names = topics_for(prefix, app_id)
        for partition in range(partitions):
            self._delete_keys([keys.state(partition), keys.lease(partition)])
            for topic in (names.order_updates, names.dead_letters):
                self._delete_keys([keys.stream(topic, partition), keys.offsets(topic, partition)])
            with self.client() as client:
                client.hdel(keys.offsets(names.orders, partition), keys.group_field)
        self._delete_keys([keys.members, keys.assignment])

    def memory(self) -> int:
        """Return used_memory, as the server has it."""
        with self.client() as client:
            info: Any = client.info("memory")
            return int(info["used_memory"])

    def _settings(self, prefix: str, partitions: int, app_id: str = "filling") -> Settings:
        return Settings(
            broker=self.url,
            app_id=app_id,
            topic_prefix=prefix,
            partitions=partitions,
            data_dir=self.folder / "data",
            redis_max_backlog=MAX_BACKLOG,
        )

    def _delete(self, pattern: str) -> None:
        escaped = pattern.replace("[", "\\[")
        with self.client() as client:
            self._delete_keys(list(client.scan_iter(escaped, count=KEYS_AT_ONCE)))

    def _delete_keys(self, names: "list[str]") -> None:
        if names:
            with self.client() as client:
                client.unlink(*names)
