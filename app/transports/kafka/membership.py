"""Who owns which partition: a consumer in the group that never reads a record.

Data flows through readers and producers of each lane's own, so a rebalance stops nobody whose partitions stay.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as kafka_errors

from app.engine.errors import MembershipLost, Refused, Unavailable
from app.settings import Settings
from app.transports.contract import OnAssigned, OnRevoked
from app.transports.kafka.assignor import StickyAssignor
from app.transports.kafka.connection import client_options, describe, translated, wait_for_nodes

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
WATCH_SECONDS = 1.0
CONFIRM_SECONDS = 0.25
CONFIRM_SHARE = 2 / 3
"""How much of the broker time-out may be spent on asking; an unanswered commit has taken the rest."""


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """This worker's place in the consumer group `group`, over the partitions of `topic`."""

    def __init__(
        self, settings: Settings, group: str, topic: str, web_url: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> None:
        self.assignor = StickyAssignor(topic, web_url)
        self.rebalances = 0
        self._settings = settings
        self._group = group
        self._topic = topic
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._settled = False
        self._failure: Exception | None = None
        self._consumer: AIOKafkaConsumer | None = None

    @property
    def routes(self) -> Mapping[int, str]:
        """Which worker owns which partition, as web addresses."""
        return self.assignor.routes

    @property
    def workers(self) -> Collection[str]:
        """The web addresses of all workers of the group."""
        return self.assignor.workers

    async def start(self) -> None:
        """Join the group; partitions come later, by `on_assigned`."""
        options = client_options(self._settings)
        self._consumer = AIOKafkaConsumer(
            **options
            | {"request_timeout_ms": max(options["request_timeout_ms"], int(self._settings.session_timeout * 2000))},
            group_id=self._group,
            partition_assignment_strategy=[self.assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=int(self._settings.session_timeout * 1000),
            heartbeat_interval_ms=int(min(HEARTBEAT_SECONDS, self._settings.session_timeout / 3) * 1000),
            max_poll_interval_ms=sys.maxsize // 1_000_000,
        )
        wait_for_nodes(self._consumer._client, self._settings)  # noqa: SLF001 - the consumer hands out nothing of it
        with translated(f"joining group {self._group}"):
            await self._consumer.start()
        self._consumer.subscribe([self._topic], listener=self)

    async def stop(self) -> None:
        """Leave the group."""
        if self._consumer is not None:
            with contextlib.suppress(kafka_errors.KafkaError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._consumer.stop()

    async def watch(self) -> None:
        """Return never; raises `MembershipLost` or `Refused` when the group is broken for good.

        aiokafka parks a fatal error of its group until somebody polls: so this polls (nothing is ever fetched).
        """
        assert self._consumer is not None
        while self._failure is None:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                with translated(f"taking part in group {self._group}"):
                    await self._consumer.getmany(timeout_ms=0)
            except Unavailable:
                continue
            except Refused:
                raise
            except kafka_errors.ConsumerStoppedError:
                return
            except Exception as error:
                if isinstance(error.__cause__, kafka_errors.InvalidSessionTimeoutError):
                    raise Refused(
                        f"Kafka does not allow ORDERS_SESSION_TIMEOUT={self._settings.session_timeout:g}; see "
                        "group.min.session.timeout.ms and group.max.session.timeout.ms of the broker"
                    ) from error
                if isinstance(error.__cause__, kafka_errors.KafkaError) and error.__cause__.retriable:
                    continue
                raise MembershipLost(f"the consumer group {self._group} broke: {describe(error)}") from error
        failure = self._failure
        raise MembershipLost(f"a new share of group {self._group} could not be taken: {describe(failure)}") from failure

    async def confirm(self, partition: int) -> bool:
        """Ask the coordinator, now, whether this worker owns `partition`: only a member may commit an offset."""
        assert self._consumer is not None
        tp = TopicPartition(self._topic, partition)
        try:
            async with asyncio.timeout(self._settings.broker_timeout * CONFIRM_SHARE):
                while self._settled and partition in self.assignor.owned:
                    with contextlib.suppress(kafka_errors.KafkaError):
                        await self._consumer.commit({tp: await self._consumer.committed(tp) or 0})
                        return True
                    await asyncio.sleep(CONFIRM_SECONDS)
        except TimeoutError as error:
            raise Unavailable(
                f"no answer from Kafka for {self._settings.broker_timeout:.0f} s: "
                f"neither to a commit of {self._topic}[{partition}] nor from the coordinator of group {self._group}"
            ) from error
        return False

    async def copy_offsets(self, offsets: dict[int, int]) -> None:
        """Copy the lanes' offsets to the group, for tools that show its lag. Never relied upon; may fail."""
        if self._consumer is None or not self._settled or not offsets:
            return
        owned = {TopicPartition(self._topic, p): offset for p, offset in offsets.items() if p in self.assignor.owned}
        if owned:
            with contextlib.suppress(kafka_errors.KafkaError):
                await self._consumer.commit(owned)

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Called by aiokafka when the group begins to share anew. Lanes go on: whoever claims next fences them."""
        self._settled = False
        with self._noting_failures():
            await self._on_revoked({tp.partition for tp in revoked})

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Called by aiokafka with everything this worker owns from now on."""
        assert self._consumer is not None
        tps = list(assigned)
        if tps:
            self._consumer.pause(*tps)
        owned = {tp.partition for tp in tps}
        self.assignor.owned = frozenset(owned)
        self._settled = True
        self.rebalances += 1
        with self._noting_failures():
            await self._on_assigned(owned, self.rebalances)

    @contextlib.contextmanager
    def _noting_failures(self) -> Iterator[None]:
        """Keep what goes wrong for `watch`: aiokafka logs it and goes on, with partitions that nobody works on."""
        try:
            yield
        except Exception as error:
            self._failure = error
            raise
