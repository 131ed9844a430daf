"""Sends messages: each partition's are packed into entries, one under way at a time, tried again until it is there."""

import asyncio
import contextlib
import itertools
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable
from typing import NamedTuple

from faust.types.tuples import TP, RecordMetadata

from app.engine.errors import Unavailable
from app.engine.step import Headers
from app.transports.plain_faust.scripts import APPEND
from app.transports.plain_faust.space import Space, Topic
from app.transports.redis_streams.entries import ENTRY_BYTES, ENTRY_RECORDS, Entry, Packer

log = logging.getLogger(__name__)

IN_FLIGHT = 10_000
"""Messages taken and not yet safe, at most; sending waits beyond that."""

FULL_SECONDS = 0.02
FORGET_SECONDS = 3_600
"""How long the server remembers what a silent sender has sent."""


class Fence(NamedTuple):
    """What a partition of a changelog is claimed by."""

    lease: str
    worker: str
    token: int


class Letter(NamedTuple):
    """A message to be sent; `timestamp` in ms, None = now. With a fence it is void once that is."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int | None
    fence: Fence | None = None

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.key or b"") + len(self.value or b"")


Waiting = deque[tuple[Letter, "asyncio.Future[RecordMetadata]"]]


class Outbox:
    """Messages on their way. A failure is final: it is raised by every later call."""

    def __init__(self, space: Space, linger: float) -> None:
        self._space = space
        self._linger = linger
        self._id = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._waiting: dict[TP, Waiting] = {}
        self._tasks: dict[TP, asyncio.Task[None]] = {}
        self._under_way: set[asyncio.Future[RecordMetadata]] = set()
        self._failure: Exception | None = None

    async def put(self, topic: Topic, partition: int, letter: Letter) -> Awaitable[RecordMetadata]:
        """Take a message; what is returned is done once the server has it."""
        await self._room.acquire()
        self._raise_failure()
        sent: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        self._under_way.add(sent)
        sent.add_done_callback(self._under_way.discard)
        tp = TP(topic.name, partition)
        waiting = self._waiting.setdefault(tp, deque())
        waiting.append((letter, sent))
        task = self._tasks.get(tp)
        if task is None or task.done():
            self._tasks[tp] = asyncio.create_task(self._run(topic, tp, waiting))
        return sent

    async def flush(self) -> None:
        """Wait until everything taken by now is safe; raises what went wrong."""
        if self._under_way:
            await asyncio.wait(set(self._under_way))
        self._raise_failure()

    async def close(self) -> None:
        """Send what waits, unless sending has failed."""
        with contextlib.suppress(Exception):
            await self.flush()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _run(self, topic: Topic, tp: TP, waiting: Waiting) -> None:
        batch: list[tuple[Letter, asyncio.Future[RecordMetadata]]] = []
        try:
            while waiting:
                await asyncio.sleep(self._linger)
                batch = _next_batch(waiting)
                packer = Packer()
                for (key, value, headers, timestamp, _), _ in batch:
                    packer.add(key, value, headers, timestamp)
                (entry,) = packer.finish()
                end = await self._append(topic, tp, entry, batch[0][0].fence)
                for offset, (letter, sent) in enumerate(batch, end - len(batch)):
                    when = time.time() if letter.timestamp is None else letter.timestamp / 1000
                    if not sent.done():
                        sent.set_result(RecordMetadata(tp.topic, tp.partition, tp, offset, when, 0))
                    self._room.release()
        except Exception as error:  # noqa: BLE001 - kept, and raised by the next call
            self._failure = self._failure or error
            for _, sent in (*batch, *waiting):
                if not sent.done():
                    sent.set_exception(error)
                    sent.exception()  # who wants to know waits for it, or flushes
                self._room.release()
            waiting.clear()

    async def _append(self, topic: Topic, tp: TP, entry: Entry, fence: Fence | None) -> int:
        """Append an entry and return the end after it; raises `Unavailable` if it cannot be done for too long.

        What is void is not appended: who has claimed its partition does that work again.
        """
        space, keys = self._space, self._space.keys
        names = [keys.stream(*tp), keys.offsets(*tp), keys.sender(self._id)]
        replies = tp.topic.startswith(space.app.conf.reply_to_prefix)
        stay = topic.retention_ms if topic.compacted else topic.retention_ms // 1000 * replies
        if topic.compacted:
            names += [space.rows(*tp), space.expiry(*tp)]
        settings = space.settings
        args = [*entry, settings.redis_max_backlog, f"{tp.topic}:{tp.partition}", next(self._numbers)]
        args += [FORGET_SECONDS, settings.redis_retain, stay]
        if fence is not None:
            names.append(fence.lease)
            args += [fence.worker, fence.token]
        doing, loop = f"sending to {tp.topic}[{tp.partition}]", asyncio.get_running_loop()
        started = loop.time()
        while True:
            answer, told = await space.link.ask(doing, lambda client: APPEND(client, names, args))
            if answer == b"ok":
                return int(told)
            if answer == b"fenced":
                log.warning("%s[%d]: another worker has it: %d changes are void", *tp, entry.records)
                return 0
            if loop.time() - started > settings.broker_timeout:
                raise Unavailable(
                    f"{tp.topic}[{tp.partition}] is full: {settings.redis_max_backlog} messages "
                    f"(ORDERS_REDIS_MAX_BACKLOG) wait for {told.decode() or 'an app that reads it'}; is it running?"
                )
            await asyncio.sleep(FULL_SECONDS)


def _next_batch(waiting: Waiting) -> list[tuple[Letter, "asyncio.Future[RecordMetadata]"]]:
    """Take as many messages as fit in one entry."""
    batch, size = [waiting.popleft()], 0
    size = batch[0][0].size
    while waiting and len(batch) < ENTRY_RECORDS and size + waiting[0][0].size <= ENTRY_BYTES:
        if waiting[0][0].fence != batch[0][0].fence:
            break
        batch.append(waiting.popleft())
        size += batch[-1][0].size
    return batch
