"""What a planted defect is: a mistake that one could make in this application, and how the harness must find it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.faults.plan import Event, Plan

SETTINGS: dict[str, Any] = {"session_timeout": 3.0, "broker_timeout": 9.0}
"""Short, as most of a short run is waiting."""

KILL = Event(1.5, "worker-kill", {"worker": 0, "seconds": 0.0})
PAUSE_PAST_SESSION = Event(1.0, "worker-pause", {"worker": 0, "seconds": 5.0, "past_session": True})
ANSWERS_LOST = Event(1.0, "net-hold", {"node": 0, "requests": False, "answers": True, "cut": True, "seconds": 4.0})
TROUBLE = Event(1.0, "net-trouble", {"chance": 0.1, "seconds": 4.0})
REQUESTS_LOST = Event(1.0, "net-hold", {"node": 0, "requests": True, "answers": False, "cut": True, "seconds": 1.0})
HOLDS = (
    Event(1.0, "net-hold", {"node": 0, "requests": True, "answers": False, "cut": True, "seconds": 5.0}),
    *(
        Event(at, "net-hold", {"node": 0, "requests": False, "answers": True, "cut": True, "seconds": 4.0})
        for at in (8.0, 14.0, 20.0)
    ),
)
"""For Kafka, whose client mends a connection that breaks by itself: only what takes too long is given up."""


class Defect(NamedTuple):
    """One mistake. Its module, of the same name with underscores, has a `plant` that makes it in the running worker.

    `brokers` are those on which it can be made; on the first of them it is tried in every run of the tests, with the
    `moves` that reveal it: within `seconds`, from the first event sent to the end of the judgement. `evidence` is a
    regular expression that is found in the verdict, so that it is caught for what it is. `elsewhere` has the moves for
    brokers that need others. Some show only by luck of the moment: it is tried up to `tries` times.
    """

    name: str
    what: str
    brokers: tuple[str, ...]
    moves: tuple[Event, ...]
    seconds: float
    evidence: str
    workers: int = 1
    rate: float = 300.0
    length: float = 3.0
    settings: Mapping[str, Any] = SETTINGS
    elsewhere: Mapping[str, tuple[Event, ...]] = {}
    tries: int = 3

    def plan(self, broker: str, *, planted: bool = True) -> Plan:
        """Return the short run that reveals it, or the same without it, which must be exact."""
        moves = self.elsewhere.get(broker, self.moves)
        return Plan(
            broker,
            seed=1,
            seconds=max(self.length, *(event.at + 4 for event in moves), 0),
            workers=self.workers,
            rate=self.rate,
            defect=self.name if planted else None,
            settings=self.settings,
            events=moves,
        )
