"""Every error the engine raises or expects from a broker. `exit_code` is what a worker that dies of it exits with."""


class EngineError(Exception):
    """Base of the engine's errors; its text says what happened, to what, and what to do."""

    exit_code = 1


class Unusable(EngineError):
    """A setting names something that cannot be used here: a port that is taken, a folder that cannot be written."""

    exit_code = 2


class Fenced(EngineError):
    """Another worker claimed the partition: what was being done for it is void. Never fatal to a worker."""


class Unknown(EngineError):
    """The broker did not say in time whether a step was committed. Never fatal: drop the rows, claim again, and see."""


class Unavailable(EngineError):
    """The broker gave no answer in time, and trying again has not helped."""

    exit_code = 3


class Inconsistent(EngineError):
    """Topics and state contradict each other (or the settings); going on would count wrongly."""

    exit_code = 4


class MembershipLost(EngineError):
    """The consumer group can no longer be taken part in."""

    exit_code = 5


class AgentFailed(EngineError):
    """The agent's own code raised or ended; its step was not committed."""

    exit_code = 6


class Refused(EngineError):
    """The broker refuses this client: wrong credentials, missing rights, or a setting it does not accept."""

    exit_code = 7


class NotReady(EngineError):
    """A partition's rows cannot be read here now: not owned, or still being loaded."""

    def __init__(self, partition: int, reason: str) -> None:
        super().__init__(f"partition {partition} {reason}")
        self.partition = partition
