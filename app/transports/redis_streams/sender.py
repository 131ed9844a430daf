"""Sends records to topics from outside a step (`emit`, sources): acknowledged by the server, no repeats.

Records of a partition are packed into entries, one under way at a time. Each has a number, so that an entry whose reply
was lost can be sent again. When too many records of a partition wait for its readers, sending waits for them.
"""

import asyncio
import contextlib
import itertools
import secrets
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Self

from app.engine.errors import Unavailable
from app.settings import Settings
from app.topics import partition_of_key
from app.transports.redis_streams.connection import RedisServer
from app.transports.redis_streams.entries import ENTRY_BYTES, ENTRY_RECORDS, Packer
from app.transports.redis_streams.failures import translated
from app.transports.redis_streams.keys import keys_for
from app.transports.redis_streams.provision import prepare
from app.transports.redis_streams.scripts import Session

IN_FLIGHT = 20_000
"""Records taken and not yet acknowledged, at most; sending waits beyond that."""

LINGER_SECONDS = 0.005
RETRY_SECONDS = 0.25
FULL_PAUSE_SECONDS = 0.02
FULL_SECONDS = 9.0
"""How long a full partition is waited for: longer than a killed worker's partitions take to move."""

FORGET_SECONDS = 3_600
"""How long the server remembers what a silent sender has sent."""


class _Waiting(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Sender:
    """An async context manager; `acknowledged` counts records that the server has safely."""

    def __init__(self, server: RedisServer, settings: Settings) -> None:
        self.acknowledged = 0
        self._server = server
        self._settings = settings
        self._keys = keys_for(settings)
        self._id = secrets.token_hex(8)
        self._sessions: dict[tuple[str, int], Session] = {}
        self._waiting: dict[tuple[str, int], deque[_Waiting]] = {}
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._numbers = itertools.count(1)
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._failure: BaseException | None = None
        self._spread = itertools.count()

    async def __aenter__(self) -> Self:
        await prepare(self._server, self._settings)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for session in self._sessions.values():
            with contextlib.suppress(Exception):
                await session.client.aclose()

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int | None = None,
    ) -> None:
        """Send a record; waits while too many are under way. See `app.transports.contract.Sender`.

        Raises the engine's errors, also for records sent earlier; `Unavailable` if the topic stays full.
        """
        count = self._settings.partitions
        if partition is None:
            partition = next(self._spread) % count if key is None else partition_of_key(key, count)
        await self._room.acquire()
        self._raise_failure()
        target = (topic, partition)
        waiting = self._waiting.get(target)
        if waiting is None:
            waiting = self._waiting[target] = deque()
        waiting.append(_Waiting(key, value, headers))
        task = self._tasks.get(target)
        if task is None or task.done():
            self._tasks[target] = asyncio.create_task(self._run(topic, partition, waiting))

    async def flush(self) -> None:
        """Wait until everything sent is acknowledged; raises what went wrong."""
        while busy := [task for task in self._tasks.values() if not task.done()]:
            await asyncio.wait(busy)
        self._raise_failure()

    async def _run(self, topic: str, partition: int, waiting: deque[_Waiting]) -> None:
        """Send what waits for a partition until nothing does."""
        try:
            while waiting and self._failure is None:
                if len(waiting) < ENTRY_RECORDS:
                    await asyncio.sleep(LINGER_SECONDS)
                packer, count, size = Packer(), 0, 0
                while waiting and count < ENTRY_RECORDS and size < ENTRY_BYTES:
                    key, value, headers = waiting[0]
                    size += len(key or b"") + len(value or b"")
                    if count and size > ENTRY_BYTES:
                        break
                    packer.add(key, value, headers, None)
                    waiting.popleft()
                    count += 1
                (entry,) = packer.finish()
                await self._append(topic, partition, entry.records, entry.packed)
                self.acknowledged += count
                for _ in range(count):
                    self._room.release()
        except Exception as error:  # noqa: BLE001 - kept, and raised by the next call
            self._failure = self._failure or error
        finally:
            if self._failure is not None:
                for _ in range(IN_FLIGHT):
                    self._room.release()  # whoever waits for room shall see it

    async def _append(self, topic: str, partition: int, count: int, packed: bytes) -> None:
        """Append an entry; waits while the partition is full or the server away, then raises `Unavailable`."""
        # A connection for each: one that broke can be closed, for nobody else waits on it.
        session = self._sessions.setdefault((topic, partition), Session(self._server))
        keys = [self._keys.stream(topic, partition), self._keys.offsets(topic, partition), self._keys.sender(self._id)]
        most = self._settings.redis_max_backlog
        args = [count, packed, most, f"{topic}:{partition}", next(self._numbers), FORGET_SECONDS]
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            waited = loop.time() - started
            client = session.client
            try:
                with translated(f"sending to {topic}[{partition}]"):
                    answer = await session.scripts("append", keys, args)
            except Unavailable:
                if waited > self._settings.broker_timeout:
                    raise
                await session.renew(client)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if answer[0] == b"ok":
                return
            if waited > min(FULL_SECONDS, self._settings.broker_timeout):
                reader = answer[1].decode()
                raise Unavailable(
                    f"{topic}[{partition}] is full: {most} records (ORDERS_REDIS_MAX_BACKLOG) wait for "
                    + (f"application {reader}; is a worker running?" if reader else "a first worker to be started")
                )
            await asyncio.sleep(FULL_PAUSE_SECONDS)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
