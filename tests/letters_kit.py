"""A partition in memory with letters: a clock that stands still, a check that fails as events ask for, actions."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from app.delivery.actions import ACTION_HEADER, Action, encode_action
from app.delivery.checks import Checks, Refuse, TryAgain
from app.delivery.dead_letters import DeadLetters
from app.engine.clock import Clock
from app.engine.state import PartitionState
from app.engine.step import Output, Step
from app.pipeline import LETTER_BYTES, OrderPipeline
from app.tables import TABLES
from app.topics import Topics
from models.events import Event

TOPICS = Topics("orders", "order-updates", "dead-letters", "state")
SECONDS_A_STEP = 1_000.0

Headers = tuple[tuple[str, bytes | None], ...]


class Record(Struct):
    """See `app.engine.step.Record`."""

    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    key: bytes | None = b"c"
    timestamp: int = 0
    timestamp_type: int = 0


class StillClock(Clock):
    """Time that goes on when told."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        """Return it."""
        return self.time

    def uniform(self, low: float, high: float) -> float:
        """Return the middle."""
        return (low + high) / 2


class Service:
    """What a team's check asks: it fails for the moment as often as an event's id says, then says yes, or no."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()

    async def check(self, event: Event) -> None:
        """Ids are as `e7-fails-2` and `e7-fails-9-refused`."""
        self._calls[event.event_id] += 1
        _, _, plan = event.event_id.partition("-fails-")
        times, _, refused = plan.partition("-")
        if self._calls[event.event_id] <= int(times or 0):
            raise TryAgain("not now")
        if refused:
            raise Refuse("no")


class Run:
    """A partition, and what its steps wrote. A worker may end at any time: nothing but rows and outputs is kept."""

    def __init__(
        self, most_letter_bytes: int = LETTER_BYTES, keep_seconds: float = 1e9, partitions: int = 1, partition: int = 0
    ) -> None:
        self._most_letter_bytes = most_letter_bytes
        self._keep_seconds = keep_seconds
        self._partitions = partitions
        self._partition = partition
        self._service = Service()
        self.rows: dict[str, dict[str, bytes]] = {}
        self.outputs: list[Output] = []
        self.next_offset = 0
        self._clock = StillClock()
        self.restart()

    def restart(self) -> None:
        """Start another worker on what was committed."""
        dead_letters = DeadLetters(TOPICS.dead_letters, TOPICS.orders, "group", "1")
        checks = Checks(self._service.check, at_once=3, seconds=60)
        self._pipeline = OrderPipeline(
            TOPICS,
            self._partitions,
            dead_letters,
            self._clock,
            keep_seconds=self._keep_seconds,
            most_letter_bytes=self._most_letter_bytes,
            checks=checks,
        )
        self._state = PartitionState(table.table for table in TABLES)
        for table, rows in self.rows.items():
            for key, row in rows.items():
                self._state.load(table, key, row)

    def step(self, records: Sequence[tuple[bytes, bool | Headers]], *, committed: bool = True) -> None:
        """Handle records (a value, and whether it is an action, or its headers) in one step."""
        self._clock.time += SECONDS_A_STEP
        first = self.next_offset
        batch = [
            Record(first + n, value, headers if isinstance(headers, tuple) else ((ACTION_HEADER, b""),) * headers)
            for n, (value, headers) in enumerate(records)
        ]
        step = Step(self._partition, batch, first, first + len(batch), self._state)
        asyncio.run(self._pipeline.handle(step))
        if not committed:
            self.restart()
            return
        encoded = step.encoded()
        step.publish(encoded)
        for table, rows in encoded:
            for key, row in rows:
                if row is None:
                    self.rows.setdefault(table, {}).pop(key, None)
                else:
                    self.rows.setdefault(table, {})[key] = row
        self.outputs += step.outputs
        self.next_offset += len(batch)

    def table(self, name: str) -> dict[str, Any]:
        """Return a table's rows."""
        table = self._state.tables[name]
        return {key: table.get(key) for key in table.encoded}

    @property
    def accepted(self) -> list[bytes]:
        """The events that were accepted, in order, as they came."""
        updates = [o.value or b"" for o in self.outputs if o.topic == TOPICS.order_updates]
        return [update[len(b'{"event":') : update.rindex(b',"order":{')] for update in updates]


ITEMS = [{"sku": "a", "qty": 1, "price": "10.00"}]
NEXT = iter(range(10**9))


def event(event_type: str, order: str = "o", event_id: str | None = None, *, plan: str = "", **more: Any) -> bytes:
    """Return an event; `plan` is what the check makes of it, see `Service`."""
    if event_type == "created":
        more = {"total_amount": "10.00", "currency": "GBP", "items": ITEMS} | more
    number = next(NEXT)
    return json.dumps(
        {
            "event_type": f"order.{event_type}",
            "event_id": event_id or f"e{number}{plan}",
            "timestamp": "2026-11-21T12:00:00Z",
            "order_id": order,
            "customer_id": "c",
            **more,
        }
    ).encode()


def action(deed: Any, *letters: str, value: bytes | None = None, app: str = "group") -> bytes:
    """Return an action."""
    return encode_action(Action(deed, list(letters), "someone", "2026-11-21T12:00:00Z", app, value))
