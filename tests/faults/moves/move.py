"""What a move is: one thing that goes wrong, on purpose, and ends."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

if TYPE_CHECKING:
    from tests.faults.stage import Stage

Choice = dict[str, Any]
"""What a plan says about a move: on which worker or node, for how long (`seconds`). Made of what JSON can hold."""

Track = Literal["workers", "broker", "shop"]
EVERY = frozenset({"embedded", "redis", "kafka", "kafka3"})
KAFKA = frozenset({"kafka", "kafka3"})
PROXIED = frozenset({"redis", "kafka", "kafka3"})


class Cast(NamedTuple):
    """Whom moves may choose from."""

    workers: int
    nodes: int
    session: float


class Move(ABC):
    """Subclasses: one a file, and a line in the registry.

    Moves of one `track` are made one after the other, those of different tracks side by side. `weight` says how often
    it is drawn; `takes` is how many seconds it takes beyond its choice's `seconds`, about.
    """

    name: ClassVar[str]
    brokers: ClassVar[Collection[str]] = EVERY
    track: ClassVar[Track]
    weight: ClassVar[int] = 10
    takes: ClassVar[float] = 0.0

    def missing(self) -> str:
        """Return what this machine lacks for it, "" if nothing."""
        return ""

    @abstractmethod
    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw what the plan has to say about it."""

    @abstractmethod
    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Do it, and undo it; return whether it had an effect, as far as that can be seen."""
