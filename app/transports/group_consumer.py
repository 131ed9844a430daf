"""Faust's side of a transport whose records go by the engine's lanes: a consumer that takes part in a group, no more.

Faust's own commit, seek and fetch machinery is inert here: a lane owns its position.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from faust.transport import base
from faust.transport.consumer import Consumer
from faust.types import TP
from mode import Service

from app.engine.errors import EngineError
from app.topics import partition_of_key
from app.transports.contract import Membership

log = logging.getLogger(__name__)


class GroupConsumer(Consumer):
    """Faust's consumer: takes part in the group, hands assignments on, reads nothing."""

    app: Any
    transport: Any

    def __init__(self, transport: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(transport, *args, **kwargs)
        app = self.app
        web_url = app.settings.web_address(app.conf.web_port)
        self._membership: Membership = transport.open_membership(app.settings, web_url, self._assigned, self._revoked)
        self._held: set[TP] = set()

    async def on_start(self) -> None:
        """Join the group. What goes wrong here ends the worker with one clear line."""
        app = self.app
        try:
            await self._membership.start()
        except EngineError as error:
            app.fail(error)
            return
        app.start_engine(self.transport.open_broker(app.settings, self._membership))

    async def on_stop(self) -> None:
        """Give up every partition, then leave the group, so that others need not wait for a time-out."""
        await self.app.stop_engine()
        await self._membership.stop()

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Faust's conductor says which topics agents read; the membership has subscribed to them already."""

    @property
    def routes(self) -> Mapping[int, str]:
        """Which worker owns which partition, as web addresses."""
        return self._membership.routes

    @property
    def workers(self) -> Collection[str]:
        """The web addresses of all workers of the group."""
        return self._membership.workers

    async def _assigned(self, partitions: set[int], generation: int) -> None:
        tps = {TP(self.app.topic_names.orders, partition) for partition in partitions}
        if tps != self._held:
            log.info("This worker owns partitions %s now", ", ".join(map(str, sorted(partitions))) or "none")
        self._held = tps
        self.app.consumer_generation_id = generation
        await self.on_partitions_assigned(tps, generation)
        self.app.on_rebalance_end()
        await self.app.engine.assign(partitions)

    async def _revoked(self, partitions: set[int]) -> None:
        self.app.on_rebalance_start()
        await self.on_partitions_revoked({TP(self.app.topic_names.orders, partition) for partition in partitions})

    @Service.task
    async def _watch(self) -> None:
        try:
            await self._membership.watch()
        except EngineError as error:
            self.app.fail(error)

    def assignment(self) -> set[TP]:
        """Return the partitions of this worker."""
        return self._held

    def topic_partitions(self, topic: str) -> int | None:
        """Return the partition count of the application's topics."""
        count: int = self.app.settings.partitions
        return count

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """Return the partition of a key."""
        return (
            partition if partition is not None or key is None else partition_of_key(key, self.app.settings.partitions)
        )

    # What follows Faust may call, and must find to do nothing: positions belong to the lanes.

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return True

    async def commit(self, *args: Any, **kwargs: Any) -> bool:
        """Do nothing: a step commits itself."""
        return True

    async def wait_empty(self) -> None:
        """Do nothing: lanes end their own steps."""

    async def perform_seek(self) -> None:
        """Do nothing."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Do nothing."""
        return {}

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Do nothing."""

    async def _seek(self, partition: TP, offset: int) -> None:
        pass

    async def position(self, tp: TP) -> int | None:
        """Return None: positions belong to the lanes."""
        return None

    def highwater(self, tp: TP) -> int:
        """Return 0: lag is told by the lanes."""
        return 0

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Return nothing."""
        return {}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Return nothing."""
        return {}

    async def _getmany(self, active_partitions: Any, timeout: float) -> Mapping[TP, list[Any]]:  # noqa: ASYNC109 - Faust's signature
        return {}

    def _to_message(self, tp: TP, record: Any) -> Any:
        raise NotImplementedError("records reach agents as steps, never as messages")

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: topics are made at start, with their configuration."""

    def verify_recovery_event_path(self, now: float, tp: TP) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class IdleFetcher(base.Fetcher):
    """Faust's fetcher, with nothing to fetch."""

    @Service.task
    async def _fetcher(self) -> None:
        await self.wait_until_stopped()
