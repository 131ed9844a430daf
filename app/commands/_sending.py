"""Sends records to a topic and keeps count of what the broker has acknowledged. Knows no broker and no terminal."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from itertools import islice

import orjson

from app.engine.errors import EngineError, Unavailable
from app.transports.contract import Sender

CONNECT_SECONDS = 15.0
"""Last resort: a transport gives up earlier (10 s), and knows better what was wrong."""
STALLED_SECONDS = 10.0
GOODBYE_SECONDS = 2.0
TICK_SECONDS = 0.1
CHUNK = 256


OpenSender = Callable[[], AbstractAsyncContextManager[Sender]]


def key_of(record: bytes) -> bytes | None:
    """Return the key that a record is sent with: its customer's id as text, or None where there is none to be read."""
    try:
        event = orjson.loads(record)
    except orjson.JSONDecodeError:
        return None
    customer = event.get("customer_id") if isinstance(event, dict) else None
    if isinstance(customer, str):
        return customer.encode() or None
    if isinstance(customer, int) and not isinstance(customer, bool):
        return str(customer).encode()
    return None


async def chunked(records: Iterable[bytes]) -> AsyncIterator[Sequence[bytes]]:
    """Yield records some at a time."""
    remaining = iter(records)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


class Sending:
    """One run of sending `chunks` to `topic`, at most `rate` records a second; blank records are left out.

    `taken` records were handed to the sender, `acknowledged` of them the broker has.
    """

    def __init__(
        self, open_sender: OpenSender, topic: str, chunks: AsyncIterator[Sequence[bytes]], rate: float | None = None
    ) -> None:
        self.taken = 0
        self.connected = False
        self._open_sender = open_sender
        self._topic = topic
        self._chunks = chunks
        self._rate = rate
        self._sender: Sender | None = None

    @property
    def acknowledged(self) -> int:
        """How many records the broker has safely."""
        return self._sender.acknowledged if self._sender is not None else 0

    async def run(self, interrupted: asyncio.Event, on_tick: Callable[[], None] = lambda: None) -> None:
        """Send everything and wait for it to be acknowledged, or until `interrupted`; calls `on_tick` now and then.

        Raises the engine's errors, `Unavailable` also if the broker stays silent for `STALLED_SECONDS`.
        """
        stack = AsyncExitStack()
        work = asyncio.create_task(self._work(stack))
        try:
            await self._watch(work, interrupted, on_tick)
        finally:
            work.cancel()
            with suppress(EngineError, TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await asyncio.gather(work, return_exceptions=True)
                    if interrupted.is_set() and self._sender is not None:
                        await self._sender.flush()
                    await stack.aclose()
            on_tick()

    async def _watch(self, work: "asyncio.Task[None]", interrupted: asyncio.Event, on_tick: Callable[[], None]) -> None:
        silent = 0.0  # summed up by ticks, so that a process that was suspended does not blame the broker
        before = 0
        while not interrupted.is_set():
            done, _ = await asyncio.wait({work}, timeout=TICK_SECONDS)
            if done:
                return work.result()
            on_tick()
            silent = silent + TICK_SECONDS if self.acknowledged == before < self.taken else 0.0
            before = self.acknowledged
            if silent > STALLED_SECONDS:
                raise Unavailable(f"the broker has acknowledged nothing for {STALLED_SECONDS:.0f} s; is it still up?")
        return None

    async def _work(self, stack: AsyncExitStack) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                sender = await stack.enter_async_context(self._open_sender())
        except TimeoutError as error:
            raise Unavailable(
                f"the broker did not answer within {CONNECT_SECONDS:.0f} s; is ORDERS_BROKER right?"
            ) from error
        self._sender = sender
        self.connected = True
        clock = asyncio.get_running_loop().time
        start = clock()
        async for chunk in self._chunks:
            for record in chunk:
                if not record or record.isspace():
                    continue
                if self._rate and (ahead := start + self.taken / self._rate - clock()) > 0:
                    await asyncio.sleep(ahead)
                self.taken += 1
                await sender.send(self._topic, key_of(record), record)
            await asyncio.sleep(0)
        await sender.flush()
