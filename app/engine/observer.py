"""Who is told what the engine does, as it happens: for metrics. Whoever listens must be quick, and never raises."""

from app.engine.step import Step


class Observer:
    """Listens to all lanes of a worker. This one does nothing; metrics override what they need."""

    def rebalanced(self) -> None:
        """The group has told this worker what it owns from now on."""

    def claimed(self) -> None:
        """A partition was claimed."""

    def loaded(self, rows: int, seconds: float) -> None:
        """The state of a claimed partition was read back: its rows, and how long that took."""

    def committed(self, step: Step, handling: float, committing: float) -> None:
        """A step was committed, after so many seconds of handling and of committing."""

    def lost(self, reason: str) -> None:
        """A partition has to be claimed anew, or given up: "fenced", or "unknown" outcome of a commit."""
