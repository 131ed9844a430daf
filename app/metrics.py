"""What a worker counts for Prometheus as it happens. Names and labels are all here; no label ever holds an id.

Counters begin at nothing with each start, as Prometheus expects. What is committed is counted, and nothing else. Totals
that outlive workers are rows, see the outcomes table.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from app.engine.observer import Observer
from app.engine.step import Step
from app.version import VERSION
from models.events import MODELS
from models.letters import CAUSES, DEAD_LETTER

OTHER_TYPE = "other"
"""The label of all types that are none of ours, or could not be read."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG_SECONDS = (0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
RECORDS = (1, 10, 50, 100, 500, 1_000, 2_000, 4_000)


class Metrics(Observer):
    """The metrics of one worker. `registry` has them all, and those of the process."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody asks for
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        Info("orderflow_build", "The version that runs", registry=registry).info({"version": VERSION})
        self._events = Counter(
            "orderflow_events",
            "What became of events, in committed steps",
            ("type", "outcome"),
            registry=registry,
        )
        self._dead_letters = Counter(
            "orderflow_dead_letters", "Events found dead, by cause, in committed steps", ("cause",), registry=registry
        )
        for cause in CAUSES:  # a counter that begins with its first letter has no rate of it
            self._dead_letters.labels(cause)
        self._records = Counter("orderflow_records_read", "Records of committed steps", registry=registry)
        self._step_records = Histogram(
            "orderflow_step_records", "Records in a step that had some", buckets=RECORDS, registry=registry
        )
        self._step_seconds = Histogram(
            "orderflow_step_seconds",
            "From a step's records to all that follows from them",
            buckets=SECONDS,
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "orderflow_commit_seconds", "How long the broker took to commit a step", buckets=SECONDS, registry=registry
        )
        self._lost = Counter(
            "orderflow_commit_failures",
            "Partitions that were fenced, or whose last commit has an unknown outcome",
            ("reason",),
            registry=registry,
        )
        for reason in ("fenced", "unknown"):
            self._lost.labels(reason)
        self._rebalances = Counter("orderflow_rebalances", "Assignments that the group has made", registry=registry)
        self._claims = Counter("orderflow_claims", "Partitions that were claimed", registry=registry)
        self._recovered = Counter("orderflow_recovered_rows", "Rows read back after claims", registry=registry)
        self._recovery_seconds = Histogram(
            "orderflow_recovery_seconds",
            "How long it took to read back the state of a partition",
            buckets=LONG_SECONDS,
            registry=registry,
        )
        self.requests = Counter(
            "orderflow_web_requests", "Answers over HTTP", ("route", "method", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "orderflow_web_request_seconds", "How long an answer took", ("route",), buckets=SECONDS, registry=registry
        )
        self.streams = Gauge("orderflow_web_streams", "Pages that updates are sent to", registry=registry)

    def rebalanced(self) -> None:
        """Count it."""
        self._rebalances.inc()

    def claimed(self) -> None:
        """Count it."""
        self._claims.inc()

    def loaded(self, rows: int, seconds: float) -> None:
        """Count the rows, and note the time."""
        self._recovered.inc(rows)
        self._recovery_seconds.observe(seconds)

    def committed(self, step: Step, handling: float, committing: float) -> None:
        """Count what came of the step's records."""
        self._step_seconds.observe(handling)
        self._commit_seconds.observe(committing)
        if step.records:
            self._records.inc(len(step.records))
            self._step_records.observe(len(step.records))
        for (outcome, event_type), count in step.counts.items():
            name, _, cause = outcome.partition(":")
            self._events.labels(event_type if event_type in MODELS else OTHER_TYPE, name).inc(count)
            if outcome.startswith(DEAD_LETTER):
                self._dead_letters.labels(cause).inc(count)

    def lost(self, reason: str) -> None:
        """Count it."""
        self._lost.labels(reason).inc()
