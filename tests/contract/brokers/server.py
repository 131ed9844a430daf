"""What tests ask of a broker's server, whichever it is: run and crash it, and look into it past our own code."""

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from app.settings import Settings
from app.topics import Topics, topics_for

Header = tuple[str, bytes | None]
Sent = tuple[bytes | None, bytes | None, tuple[Header, ...]]
"""Key, value and headers of a record."""


class Read(NamedTuple):
    """A record as read back. `timestamp` in ms since 1970; `timestamp_type` 1: the producer's, 2: the broker's."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    timestamp_type: int
    timestamp: int


class TopicLog(Protocol):
    """A topic, followed from its beginning. `records` holds what `catch_up` has read, in each partition's order."""

    topic: str
    records: list[Read]

    def catch_up(self, seconds: float = 60) -> Sequence[Read]:
        """Read on to where the topic ends now and return all records; fails if it gets no further for `seconds`."""

    def read_on(self, seconds: float = 60) -> Iterator[Read]:
        """Yield what was not read yet, and keep none of it. To be gone through to its end."""

    def only(self, partition: int) -> "TopicLog":
        """Return the same topic from its beginning, but of one partition; to be closed."""

    def close(self) -> None:
        """Let go of the connections."""


class State(NamedTuple):
    """What is committed for a partition: encoded rows by (table, key), and where it goes on (None: nothing yet)."""

    rows: dict[tuple[str, str], bytes]
    offset: int | None


class StateView(Protocol):
    """The committed state of an application, followed as it changes, with a client that shares no code with ours."""

    def offset(self, partition: int) -> int | None:
        """Return where a partition goes on, as committed."""

    def rows(self, partition: int) -> dict[tuple[str, str], bytes]:
        """Return its rows."""

    def close(self) -> None:
        """Let go of the connections."""


class Feed(Protocol):
    """Writes to the orders topic as shops do: each record once, in order, also over a crash of the server."""

    failures: list[str]

    @property
    def delivered(self) -> int:
        """How many records are acknowledged by now."""

    def send(self, records: Sequence[tuple[Sent, bool]]) -> None:
        """Send records, waiting while too many are under way.

        Those marked True come from a client that chooses a key's partition in another way: CRC-32 modulo the count.
        """

    def finish(self, seconds: float) -> None:
        """Wait until everything is acknowledged or has failed."""

    def close(self) -> None:
        """Let go of the connections, whatever is still under way."""


class Server(ABC):
    """A server in a folder of its own. Subclasses: one per broker, one file each. All calls block.

    `session_timeout` is the shortest, in seconds, that the broker allows. `keeping` are settings with which records are
    kept for good. `answers_early`: if this is the only server, a commit is answered a moment before it is safe from a
    crash (docs/reliability.md).
    """

    name: ClassVar[str]
    session_timeout: ClassVar[float]
    answers_early: ClassVar[bool] = False
    keeping: ClassVar[dict[str, Any]] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def start(self) -> None:
        """Start it, after a `kill` on the same data, and return once it answers.

        Raises `MissingProgramError` if what it takes is not installed.
        """

    @abstractmethod
    def stop(self) -> None:
        """End it in good order; nothing happens if it does not run."""

    @abstractmethod
    def kill(self) -> None:
        """End it as a crash would (SIGKILL) and return once it is gone."""

    @abstractmethod
    def address(self) -> dict[str, Any]:
        """Return the settings that lead to it."""

    @abstractmethod
    def log(self, settings: Settings, topic: str) -> TopicLog:
        """Return what reads committed records, with a client that shares no code with ours."""

    @abstractmethod
    def view(self, settings: Settings) -> StateView:
        """Return what reads the committed state, in the same way."""

    @abstractmethod
    def feed(self, settings: Settings) -> Feed:
        """Return what sends orders; prepared topics must be there."""

    def state(self, settings: Settings, partition: int) -> State:
        """Return what is committed for a partition."""
        view = self.view(settings)
        try:
            return State(view.rows(partition), view.offset(partition))
        finally:
            view.close()

    def settings(self, **more: Any) -> Settings:
        """Return settings with a prefix and a group of their own, so that tests never meet each other's data."""
        own = secrets.token_hex(4)
        defaults: dict[str, Any] = {
            "app_id": f"app-{own}",
            "topic_prefix": f"{own}.",
            "partitions": 1,
            "broker_timeout": 10.0,
        }
        return Settings(**defaults | {"session_timeout": self.session_timeout} | self.address() | more)


def environment(settings: Settings) -> dict[str, str]:
    """Return these settings as environment variables."""
    return {f"ORDERS_{name.upper()}": str(getattr(settings, name)) for name in sorted(settings.model_fields_set)}


def names(settings: Settings) -> Topics:
    """Return the names of the topics of these settings."""
    return topics_for(settings.topic_prefix, settings.app_id)


def read_log(server: Server, settings: Settings, topic: str) -> list[Read]:
    """Return all committed records of a topic."""
    log = server.log(settings, topic)
    try:
        return list(log.catch_up())
    finally:
        log.close()


def as_number(encoded: bytes) -> int:
    """Return the number that a row of one number holds."""
    number = json.loads(encoded)
    assert isinstance(number, int)
    return number
