"""A lane: the task that owns one partition. Claim, load, then read → step → commit until the partition goes.

The order of a take-over is what keeps totals right: nothing that was read before the claim is ever used.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from enum import StrEnum

from app.engine.broker import Batch, Broker, Lease
from app.engine.clock import Clock
from app.engine.errors import AgentFailed, EngineError, Fenced, NotReady, Unknown
from app.engine.observer import Observer
from app.engine.state import PartitionState
from app.engine.step import Step
from app.engine.table import Table
from app.engine.turns import Turns

log = logging.getLogger(__name__)

MAX_RECORDS = 4_000
"""Records per step: about 100 ms of work, so that a clean stop never waits long; with half of it a tenth is slower."""

RECLAIM_SECONDS = (1.0, 2.0)
"""How long a fenced lane waits before it claims again, drawn from this range."""

Agent = Callable[[AsyncIterator[Step]], Awaitable[None]]


class LaneState(StrEnum):
    """Where a lane is in its life."""

    CLAIMING = "claiming"
    LOADING = "loading"
    RUNNING = "running"
    FENCED = "fenced"
    STOPPED = "stopped"


class Lane:
    """Runs `agent` over the steps of one partition."""

    def __init__(
        self,
        partition: int,
        broker: Broker,
        tables: tuple[Table, ...],
        agent: Agent,
        clock: Clock,
        turns: Turns | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.partition = partition
        self.state = LaneState.CLAIMING
        self.next_offset: int | None = None
        self.end_offset: int | None = None
        self.loaded: tuple[int, int] = (0, 0)
        self.backlog: tuple[int, int] | None = None
        self.last_timestamp: int | None = None
        self.committed_steps = 0
        self._broker = broker
        self._tables = tables
        self._agent = agent
        self._clock = clock
        self._turns = turns or Turns()
        self._observer = observer or Observer()
        self._rows = PartitionState(tables)
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def rows(self) -> PartitionState:
        """The committed rows; raises `NotReady` unless the lane is running."""
        if self.state is not LaneState.RUNNING:
            raise NotReady(self.partition, f"is {self.state} on this worker")
        return self._rows

    def start(self, on_failure: Callable[[EngineError], None]) -> None:
        """Start the lane's task; a failure that a lane cannot mend is given to `on_failure`."""
        self._task = asyncio.create_task(self._run(on_failure), name=f"lane-{self.partition}")

    @property
    def alive(self) -> bool:
        """Whether the lane's task is still at work."""
        return self._task is not None and not self._task.done()

    def ask_to_stop(self) -> None:
        """Let the step in flight end and be committed, then stop."""
        self._stopping.set()

    async def stopped(self, within: float) -> None:
        """Wait until the lane has stopped; after `within` seconds it is cancelled, its step in flight uncommitted."""
        self.ask_to_stop()
        if self._task is None:
            return
        _, pending = await asyncio.wait({self._task}, timeout=within)
        if pending:
            log.warning(
                "Partition %s: the step in flight took longer than %.1f s and is dropped", self.partition, within
            )
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=within)

    async def _run(self, on_failure: Callable[[EngineError], None]) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    await self._hold()
                except (Fenced, Unknown) as lost:
                    log.warning("Partition %s: %s", self.partition, lost)
                    self._observer.lost("fenced" if isinstance(lost, Fenced) else "unknown")
                    self.state = LaneState.FENCED if isinstance(lost, Fenced) else LaneState.CLAIMING
                    if not await self._still_ours():
                        break
        except EngineError as failure:
            on_failure(failure)
        except Exception as failure:
            log.exception("Partition %s: unexpected error", self.partition)
            on_failure(EngineError(f"partition {self.partition}: unexpected {type(failure).__name__}: {failure}"))
        finally:
            self.state = LaneState.STOPPED

    async def _hold(self) -> None:
        """Hold the partition once: from the claim until it is fenced, stopped or fails."""
        self.state = LaneState.CLAIMING
        self._rows = PartitionState(self._tables)
        lease = await self._broker.claim(self.partition)
        self._observer.claimed()
        try:
            await self._load(lease)
            if not self._stopping.is_set():
                self.state = LaneState.RUNNING
                await self._work(lease)
        finally:
            await lease.release()

    async def _load(self, lease: Lease) -> None:
        self.state = LaneState.LOADING
        started = self._clock.monotonic()
        async for chunk in lease.load():
            for table, key, encoded in chunk.rows:
                self._rows.load(table, key, encoded)
            self.loaded = (chunk.done, chunk.total)
            await asyncio.sleep(0)
            if self._stopping.is_set():
                return
        self.next_offset = lease.next_offset
        rows, seconds = self._rows.row_count(), self._clock.monotonic() - started
        self._observer.loaded(rows, seconds)
        log.info(
            "Partition %s: claimed, %d rows loaded in %.2f s, going on at offset %d",
            *(self.partition, rows, seconds, lease.next_offset),
        )

    async def _work(self, lease: Lease) -> None:
        steps = self._steps(lease)
        try:
            await self._agent(steps)
        except EngineError:
            raise
        except Exception as error:
            log.exception("Partition %s: the agent failed; its step was not committed", self.partition)
            raise AgentFailed(
                f"the agent failed on partition {self.partition}: {type(error).__name__}: {error}"
            ) from error
        finally:
            await steps.aclose()
        if not self._stopping.is_set():
            raise AgentFailed(f"the agent ended on partition {self.partition}; it must go on until its steps end")

    async def _steps(self, lease: Lease) -> AsyncGenerator[Step, None]:
        """Yield steps; asking for the next one commits the last one, so nothing is ever acknowledged too early."""
        while not self._stopping.is_set():
            try:
                batch = await self._read(lease)
            except EngineError:
                raise
            except Exception as error:  # of the broker's, though it passes through the agent
                raise EngineError(
                    f"partition {self.partition}: records cannot be read: {type(error).__name__}: {error}"
                ) from error
            if batch is None:
                continue
            self.end_offset = batch.end_offset
            self.backlog = lease.backlog
            began = self._clock.monotonic()
            offsets = batch.first_offset, batch.next_offset
            step = Step(self.partition, batch.records, *offsets, self._rows, lease.write, self._turns)
            yield step
            if step.empty:
                self.next_offset = batch.next_offset
            else:
                await self._commit(lease, step, began)
            if batch.records:
                self.last_timestamp = batch.records[-1].timestamp

    async def _commit(self, lease: Lease, step: Step, began: float) -> None:
        handled = self._clock.monotonic()
        try:
            encoded = step.encoded()
            await lease.commit(step.next_offset, encoded, step.outputs)
        except EngineError:
            raise
        except Exception as error:
            raise EngineError(
                f"partition {self.partition}: a step cannot be committed: {type(error).__name__}: {error}"
            ) from error
        step.publish(encoded)
        self.next_offset = step.next_offset
        self.committed_steps += 1
        self._observer.committed(step, handled - began, self._clock.monotonic() - handled)

    async def _read(self, lease: Lease) -> Batch | None:
        """Read, but let go of the wait as soon as the lane is to stop."""
        reading = asyncio.ensure_future(lease.read(MAX_RECORDS))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else None
        finally:
            for future in (reading, stopping):
                future.cancel()
            await asyncio.gather(reading, stopping, return_exceptions=True)

    async def _still_ours(self) -> bool:
        """After a fence: give the group time to settle, then ask it. A paused worker that woke up must not claim."""
        pause = self._clock.uniform(*RECLAIM_SECONDS)
        try:
            await asyncio.wait_for(self._stopping.wait(), pause)
        except TimeoutError:
            return await self._broker.confirm(self.partition)
        return False
