"""A plan: which move is made when, on what, for how long. Made up front from a seed, so that it can be replayed.

What is not in a plan, and so may differ between two runs of it, is time: how long a broker takes to start, and in which
of its steps a signal meets a worker.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.moves.move import Cast, Choice, Move

PAUSE_SECONDS = {"workers": (0.2, 3.0), "broker": (1.0, 12.0), "shop": (0.2, 3.0)}
"""Between two moves of one track, drawn from this range.

While a broker is in trouble workers own little, so that what happens to them has no effect: it must have its calm.
"""

CALM_SECONDS = 3.0
"""At the end of a run, so that what the last moves did can show."""


@dataclass(frozen=True)
class Event:
    """One move. It begins `at` seconds after the start, or once the one before it on its track has ended."""

    at: float
    move: str
    choice: Choice


@dataclass(frozen=True)
class Plan:
    """A whole run: what it is played on, and its moves in the order of time. `rate` in events per second.

    `settings` win over those of the application otherwise.
    """

    broker: str
    seed: int
    seconds: float
    workers: int = 3
    rate: float = 300.0
    defect: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[Event] = field(default_factory=tuple)

    def lines(self) -> list[str]:
        """Return it as JSON, one object a line: first what it is played on, then the moves."""
        head = {name: value for name, value in asdict(self).items() if name != "events"}
        return [json.dumps(head), *(json.dumps(asdict(event)) for event in self.events)]

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Read what `lines` returned."""
        head, *events = map(json.loads, path.read_text().splitlines())
        return cls(**head, events=tuple(Event(**event) for event in events))


def planned(plan: Plan, moves: Iterable[Move], cast: Cast) -> Plan:
    """Return the plan with moves drawn at random: on each track one after the other, the tracks side by side."""
    random = Random(plan.seed)
    events = []
    by_track: dict[str, list[Move]] = {}
    for move in moves:
        by_track.setdefault(move.track, []).append(move)
    for track in sorted(by_track):
        choices = by_track[track]
        at = random.uniform(*PAUSE_SECONDS[track])
        while at < plan.seconds - CALM_SECONDS:
            move = random.choices(choices, [each.weight for each in choices])[0]
            choice = move.choose(random, cast)
            events.append(Event(round(at, 2), move.name, choice))
            at += float(choice.get("seconds", 0)) + move.takes + random.uniform(*PAUSE_SECONDS[track])
    return replace(plan, events=tuple(sorted(events, key=lambda event: event.at)))
