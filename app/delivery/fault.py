"""Why an event is not accepted now: for good, or for the moment."""

from typing import NamedTuple

from app.delivery.dead_letters import Failure


class Transient(NamedTuple):
    """A failure that may be over when it is tried again; `retry_after` is the least pause asked for, in seconds.

    Not `tried`: it was put off, without an attempt.
    """

    failure: Failure
    retry_after: float | None = None
    tried: bool = True


Fault = Failure | Transient
