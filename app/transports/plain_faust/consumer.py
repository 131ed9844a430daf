"""Faust's consumer on Redis Streams: what Faust asks of it. Reading, claims and routes are in files of their own."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any

from faust.transport.consumer import Consumer
from faust.types.tuples import TP, ConsumerMessage
from mode import Service

from app.engine.errors import EngineError
from app.transports.plain_faust.assignment import Assignment, tell_assignor
from app.transports.plain_faust.group import Group
from app.transports.plain_faust.outbox import Fence
from app.transports.plain_faust.reader import Reader
from app.transports.plain_faust.space import Space
from app.transports.redis_streams.membership import Membership

TAKE_RECORDS = 500
ROUTES_SECONDS = 1.0


class PlainConsumer(Consumer):
    """Takes part in the group, claims partitions, hands messages to Faust, and commits what was acknowledged."""

    app: Any
    transport: Any

    def __init__(self, transport: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(transport, *args, **kwargs)
        self._space: Space = transport.space
        self._group = Group(self._space)
        self._changed = asyncio.Event()
        self._reader = Reader(self._space, self._changed.set)
        self._membership: Membership | None = None
        self._topics: list[str] = []
        self._wanted: set[int] = set()
        self._routes: Mapping[int, str] = {}
        self._now = Assignment({}, {})
        self._delivered: dict[TP, deque[int]] = defaultdict(deque)
        self._last: dict[TP, int] = {}

    async def on_start(self) -> None:
        """Wait for the server."""
        await self._space.open()

    async def on_stop(self) -> None:
        """Commit what was acknowledged, give up every partition, and leave the group."""
        try:
            await super().on_stop()
        finally:
            await self._group.release()
            if self._membership is not None:
                await self._membership.stop()
            await self._space.close()

    # --- group ---

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group, which shares as many partitions as its largest topic has; joins anew for other topics."""
        self._topics = sorted(topics)
        found = [await self._space.topic(name) for name in self._topics]
        if self.app.client_only:
            self._reader.seek({TP(topic.name, p): 0 for topic in found for p in range(topic.partitions)})
            return
        if self._membership is not None:
            await self._membership.stop()
        most = max((topic.partitions for topic in found), default=1)
        settings = self._space.settings.model_copy(update={"partitions": most})
        url = str(self.app.conf.canonical_url)
        self._membership = Membership(self._space.server, settings, url, self._assigned, self._revoked)
        self._group.worker = self._membership.worker
        await self._membership.start()
        self.add_future(self._watch(self._membership))

    async def _watch(self, membership: Membership) -> None:
        try:
            await membership.watch()
        except EngineError as error:
            await self._fail(error)

    @Service.timer(ROUTES_SECONDS)
    async def _follow_routes(self) -> None:
        """Have the router know where partitions are that went from one of the others to another."""
        if self._membership is not None and self._membership.routes is not self._routes and not self._changed.is_set():
            await self._tell_assignor()

    async def _tell_assignor(self) -> None:
        assert self._membership is not None
        self._routes = self._membership.routes
        topics = [await self._space.topic(name) for name in self._topics]
        tell_assignor(self.app, self._now, topics, self._routes)

    async def _assigned(self, partitions: set[int], generation: int) -> None:
        self._wanted = partitions
        self._changed.set()

    async def _revoked(self, partitions: set[int]) -> None:
        """Do nothing: what is new comes at once, and heartbeats must not wait for messages under way."""

    @Service.task
    async def _rebalances(self) -> None:
        while not await self.wait_for_stopped(self._changed):  # type: ignore[arg-type]
            try:
                await self._rebalance()
            except EngineError as error:
                await self._fail(error)

    async def _rebalance(self) -> None:
        """Let messages under way end, then claim what is ours now: all of it, as a token may have become void."""
        app = self.app
        app.on_rebalance_start()
        self._reader.forget()
        await self._on_partitions_revoked(self.assignment())  # its caller in Faust forgets first what was acknowledged
        await self.commit()
        for known in (self._delivered, self._last, self._acked, self._acked_index, self._committed_offset):
            known.clear()
        while True:
            self._changed.clear()
            wanted = set(self._wanted)
            await self._group.release(self._group.held - wanted)
            topics = [await self._space.topic(name) for name in self._topics]
            new = Assignment.of(app, topics, wanted)
            if await self._group.claim(wanted, (tp for tp in new.tps if self._is_committed(tp)), self._changed):
                break
        self._now = new
        await self._tell_assignor()
        app.consumer_generation_id += 1
        await self.on_partitions_assigned(self.assignment(), app.consumer_generation_id)

    async def _fail(self, error: EngineError) -> None:
        self.log.error("%s", error)
        await self.crash(error)

    def fence(self, partition: int) -> Fence:
        """Return what changes of tables in this partition depend on."""
        return self._group.fence(partition)

    def _is_committed(self, tp: TP) -> bool:
        return self.app.topics.acks_enabled_for(tp.topic) and not tp.topic.startswith(self.app.conf.reply_to_prefix)

    def assignment(self) -> set[TP]:
        """Return the partitions of this worker."""
        return set(self._now.tps)

    # --- messages ---

    @Service.task
    async def _reading(self) -> None:
        try:
            await self._reader.run()
        except EngineError as error:
            await self._fail(error)

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        """Like Faust's, but woken when a stream has room again: Faust's sleeps for a second then."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]
        active = None if self.app.client_only else self._get_active_partitions()
        return await self._getmany(active, timeout), active

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109
        arrived = self._reader.arrived
        arrived.clear()
        found = self._reader.take(active_partitions, TAKE_RECORDS)
        if not found:
            await self.wait(arrived, timeout=timeout)  # type: ignore[arg-type]
            found = self._reader.take(active_partitions, TAKE_RECORDS)
        return found

    def on_buffer_drop(self, tp: TP) -> None:
        """Go on with a partition whose stream has room again."""
        super().on_buffer_drop(tp)
        self._reader.arrived.set()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Go on with partitions."""
        super().resume_partitions(tps)
        self._reader.arrived.set()

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if record.offset > self._last.get(tp, -1) and self.app.topics.acks_enabled_for(tp.topic):
            self._last[tp] = record.offset
            self._delivered[tp].append(record.offset)
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            record.offset,
            record.timestamp / 1000.0,
            record.timestamp_type,
            list(record.headers),
            record.key,
            record.value,
            None,
            len(record.key or b""),
            len(record.value or b""),
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    # --- offsets ---

    def _new_offset(self, tp: TP) -> int | None:
        """Return the offset up to which every message that was delivered is acknowledged, if that is news."""
        delivered, acked = self._delivered[tp], self._acked_index[tp]
        offset = None
        while delivered and delivered[0] in acked:
            offset = delivered.popleft()
            acked.discard(offset)
        self._acked[tp].clear()
        return None if offset is None else offset + 1

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002
        """Commit what is acknowledged by now: a commit under way may have begun too early."""
        while await self.maybe_wait_for_commit_to_finish():
            pass
        return bool(await super().commit(topics, start_new_transaction))

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: `_new_offset` knows what was delivered."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        done = await self._group.commit({tp: offset for tp, offset in offsets.items() if self._is_committed(tp)})
        if not done:
            self._changed.set()
        return done

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Read from where the group has got to."""
        committed = await self._group.committed(tp for tp in self.assignment() if self._is_committed(tp))
        replies = {tp: 0 for tp in self.assignment() if tp.topic.startswith(self.app.conf.reply_to_prefix)}
        self._reader.seek(committed | replies)
        return committed

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Read from given offsets on."""
        for tp, offset in partitions.items():
            await self.seek(tp, offset)

    async def _seek(self, partition: TP, offset: int) -> None:
        self._reader.seek({partition: offset})

    async def position(self, tp: TP) -> int | None:
        """Return the offset of the next message."""
        return self._reader.position(tp)

    def highwater(self, tp: TP) -> int:
        """Return where a partition ended when it was last read."""
        return self._reader.end(tp)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Return where partitions end now."""
        return await self._space.offsets(partitions, "end")

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Return where reading may begin: what is gone from a stream is either in rows, or said to be gone."""
        return dict.fromkeys(partitions, 0)

    # --- topics ---

    def topic_partitions(self, topic: str) -> int | None:
        """Return the partition count of a topic, if it is known."""
        known = self._space.known(topic)
        return known.partitions if known else None

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """Return the partition of a key."""
        return partition if partition is not None else int(self.app.producer.key_partition(topic, key).partition)

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Make a topic unless it is there."""
        await self.app.producer.create_topic(*args, **kwargs)
