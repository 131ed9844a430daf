"""Settings reach what they are settings of."""

import asyncio

from app.delivery.actions import ACTION_HEADER
from app.engine.state import PartitionState
from app.engine.step import Step
from app.main import pipeline_for
from app.settings import Settings
from app.tables import TABLES
from app.topics import LETTERS_TABLE, topics_for
from models.events import Event
from models.letters import Letter
from tests.letters_kit import Record, StillClock, action, event

DAY = 86_400.0


async def fail_for_now(_event: Event) -> None:
    """Be a check that cannot reach what it asks."""
    raise ConnectionError("not there")


class Worker:
    """One partition under a pipeline made from settings; purges are told by their word."""

    def __init__(self, **settings: object) -> None:
        self._clock = StillClock()
        given = Settings(partitions=1, check=f"{__name__}:fail_for_now", **settings)  # type: ignore[arg-type]
        self._pipeline = pipeline_for(topics_for("", given.app_id), given, self._clock)
        self._state = PartitionState(table.table for table in TABLES)
        self._offset = 0

    def step(self, *values: bytes, seconds: float = 0.0) -> dict[str, Letter]:
        """Commit a step of these events; returns the letters after it."""
        self._clock.time += seconds
        first = self._offset
        self._offset += len(values)
        headers = {True: ((ACTION_HEADER, b""),), False: ()}
        records = [Record(first + n, value, headers[b'"deed"' in value]) for n, value in enumerate(values)]
        step = Step(0, records, first, self._offset, self._state)
        asyncio.run(self._pipeline.handle(step))
        step.publish(step.encoded())
        table = self._state.tables[LETTERS_TABLE]
        return {name: table.get(name) for name in table.encoded}


def test_an_event_is_tried_as_often_and_as_long_as_the_settings_say() -> None:
    """Attempts, the longest pause, the time in all."""
    worker = Worker(retry_attempts=3, retry_longest=1.0, retry_total=1_000.0)
    states = [worker.step(event("created"))["0-0"].state]
    states += [worker.step(seconds=2.0)["0-0"].state for _ in range(3)]
    assert states == ["retrying", "retrying", "dead", "dead"]
    assert Worker(retry_attempts=3, retry_total=1.0).step(event("created"))["0-0"].state == "dead"


def test_closed_letters_are_kept_for_the_days_of_the_setting() -> None:
    """A day and a half."""
    worker = Worker(letters_days=1.5, retry_attempts=1)
    worker.step(b"{")
    worker.step(action("purge", "0-0", app="orderflow"))
    assert [worker.step(seconds=DAY)["0-0"].state, worker.step(seconds=DAY)] == ["purged", {}]


def test_letters_take_no_more_megabytes_than_the_setting() -> None:
    """One, and somewhat more until the next step has made room."""
    worker = Worker(letters_mb=1, retry_attempts=1)
    for n in range(6):
        worker.step(event("created", f"o{n}", note="x" * 300_000))
    assert len(worker.step()) < 4
