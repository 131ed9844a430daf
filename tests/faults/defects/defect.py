"""What a planted defect is: a mistake that one could make in this application, and how the harness must find it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.faults.plan import Event


class Defect(NamedTuple):
    """One mistake. Its module, of the same name with underscores, has a `plant` that makes it in the running worker.

    `brokers` are those on which it can be made; on the first of them it is tried in every run of the tests, with the
    `moves` that reveal it: within `seconds`, from the first event sent to the end of the judgement. `evidence` is a
    regular expression that the verdict matches, so that it is caught for what it is. `settings` win over the workers'.
    """

    name: str
    what: str
    brokers: tuple[str, ...]
    moves: tuple[Event, ...]
    seconds: float
    evidence: str
    settings: Mapping[str, Any] = {}
