"""`/metrics`: what this worker counts, and how its own partitions stand. All workers together are the application.

Figures of partitions come from their owners, so that adding up over workers counts each once.
"""

import time
from collections.abc import Iterable, Iterator

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from app.delivery.figures import Figures
from app.engine.lane import LaneState
from app.health import thresholds
from app.metrics import Metrics
from app.web.node import Node
from app.web.reading.own_status import OwnStatus, lag_seconds
from models.letters import STATES

NO_ROUTE = "none"


def metrics_routes(node: Node, own: OwnStatus, metrics: Metrics) -> list[web.RouteDef]:
    """Return the route of metrics."""

    async def get_metrics(_request: web.Request) -> web.Response:
        letters = await own.letters()
        now = CollectorRegistry()
        now.register(_Now(list(_of_partitions(node, letters))))
        body = generate_latest(metrics.registry) + generate_latest(now)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/metrics", get_metrics)]


def request_metrics(metrics: Metrics) -> Middleware:
    """Return a middleware that counts answers by their route; what is asked for is in no label."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.monotonic()
        response = await handler(request)
        resource = request.match_info.route.resource
        route = NO_ROUTE if resource is None else resource.canonical
        method = request.method if request.method in {"GET", "HEAD", "POST"} else "other"
        metrics.requests.labels(route, method, str(response.status)).inc()
        metrics.request_seconds.labels(route).observe(time.monotonic() - began)
        return response

    return count


class _Now:
    """A collector of what was found out for this answer."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return it."""
        return self._families


def _of_partitions(node: Node, letters: dict[int, Figures]) -> Iterator[Metric]:
    """Yield how the partitions of this worker stand, and what it would call too much."""
    state = GaugeMetricFamily("orderflow_partition_state", "1 for the state it is in", labels=("partition", "state"))
    lag = GaugeMetricFamily("orderflow_lag_records", "Records that wait to be read", labels=("partition",))
    late = GaugeMetricFamily("orderflow_lag_seconds", "Since when they wait, at most", labels=("partition",))
    rows = GaugeMetricFamily("orderflow_rows", "Rows of all tables", labels=("partition",))
    loaded = GaugeMetricFamily("orderflow_recovery_ratio", "How much of the state was read back", labels=("partition",))
    backlog = GaugeMetricFamily("orderflow_backlog_ratio", "Records held, of those that may be", labels=("partition",))
    now = time.time()
    lanes = [] if node.engine is None else node.engine.status()
    for lane in lanes:
        partition = [str(lane.partition)]
        state.add_metric([*partition, lane.state], 1)
        rows.add_metric(partition, lane.rows)
        done = 1.0 if lane.state is LaneState.RUNNING else lane.loaded / lane.to_load if lane.to_load else 0.0
        loaded.add_metric(partition, done)
        if lane.lag is not None:
            lag.add_metric(partition, lane.lag)
        seconds = lag_seconds(lane, now)
        if seconds is not None:
            late.add_metric(partition, seconds)
        if lane.backlog is not None:
            backlog.add_metric(partition, lane.backlog[0] / lane.backlog[1])
    yield from (state, lag, late, rows, loaded, backlog)
    yield from _of_letters(letters, now)
    yield GaugeMetricFamily("orderflow_partitions", "Partitions of the application", node.settings.partitions)
    yield GaugeMetricFamily("orderflow_partitions_owned", "Partitions of this worker", len(lanes))
    limits = GaugeMetricFamily("orderflow_threshold", "From where on it is too much", labels=("check", "level"))
    for name, threshold in thresholds(node.settings).items():
        limits.add_metric([name, "warning"], threshold.warning)
        limits.add_metric([name, "critical"], threshold.critical)
    yield limits


def _of_letters(letters: dict[int, Figures], now: float) -> Iterator[Metric]:
    """Yield how many letters this worker's partitions have."""
    states = GaugeMetricFamily("orderflow_letters", "Dead letters by state", labels=("state",))
    causes = GaugeMetricFamily("orderflow_open_letters", "Open dead letters by cause", labels=("cause",))
    by_state: dict[str, int] = dict.fromkeys(STATES, 0)
    by_cause: dict[str, int] = {}
    for figures in letters.values():
        for name, count in figures.states.items():
            by_state[name] = by_state.get(name, 0) + count
        for name, count in figures.causes.items():
            by_cause[name] = by_cause.get(name, 0) + count
    for name, count in by_state.items():
        states.add_metric([name], count)
    for name, count in by_cause.items():
        causes.add_metric([name], count)
    yield states
    yield causes
    oldest = min((figures.oldest for figures in letters.values() if figures.oldest is not None), default=None)
    age = 0.0 if oldest is None else max(0.0, now - oldest)
    yield GaugeMetricFamily("orderflow_oldest_open_letter_seconds", "Age of the oldest open dead letter, or 0", age)
