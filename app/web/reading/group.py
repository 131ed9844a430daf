"""How all workers stand, as far as they can be asked: what `/api/status`, the dashboard and `status` tell."""

import time
from collections import Counter
from collections.abc import Mapping
from functools import reduce
from typing import Any

import msgspec

from app.delivery.figures import Figures, figures_of, figures_view, merge
from app.engine.lane import LaneState
from app.health import Observed, checks_of, health_view
from app.version import VERSION
from app.web.node import Node
from app.web.reading.gathering import gather
from app.web.reading.own_status import OwnStatus, PartitionStatus, WorkerStatus
from app.web.reading.peers import NoAnswer, Peers
from models.letters import DEAD_LETTER

Told = Mapping[str, WorkerStatus | NoAnswer]
"""What each worker has told of itself, by its address; or why it has not."""


class Group:
    """Asks all workers. It answers also when some of them cannot, and then says so."""

    def __init__(self, node: Node, own_url: str, own: OwnStatus, peers: Peers, seconds: float) -> None:
        self._node = node
        self._own_url = own_url
        self._own = own
        self._peers = peers
        self._seconds = seconds

    async def status(self) -> dict[str, Any]:
        """Return the status of the group, as readers get it."""
        node, routes = self._node, dict(self._node.routes)
        workers = {self._own_url, *routes.values(), *node.workers}
        told = await gather({url: self._ask(url) for url in workers}, self._seconds)
        partitions = [_partition(p, routes.get(p), told) for p in range(node.settings.partitions)]
        missing = [{"partition": p["partition"], "reason": reason} for p in partitions if (reason := p.pop("missing"))]
        outcomes = sum((Counter(p.pop("outcomes")) for p in partitions), Counter())
        figures = [p.pop("letters") for p in partitions]
        letters = None if None in figures else figures_view(_sum(figures), time.time())
        status = {
            "app_id": node.settings.app_id,
            "version": VERSION,
            "broker": node.settings.broker_shown,
            "ready": all(p["state"] == LaneState.RUNNING for p in partitions),
            "workers": _workers(workers, routes, told),
            "partitions": partitions,
            "lag": None if missing else sum(p["lag"] for p in partitions),
            "outcomes": _outcomes(outcomes),
            "letters": letters,
            "complete": not missing,
            "missing": missing,
        }
        return status | {"health": health_view(checks_of(_observed(status), node.settings))}

    async def _ask(self, url: str) -> WorkerStatus:
        if url == self._own_url:
            return await self._own.status()
        told = await self._peers.status(url)
        try:
            return msgspec.convert(told, WorkerStatus)
        except msgspec.ValidationError as error:
            raise NoAnswer(f"{url} answered with something else than how it stands") from error


def _observed(status: Mapping[str, Any]) -> Observed:
    partitions, letters = status["partitions"], status["letters"]
    shares = [held / bound for p in partitions if p["backlog"] is not None for held, bound in (p["backlog"],)]
    return Observed(
        pending=None if letters is None else letters["open"],
        lag=status["lag"],
        idle_workers=sum(not worker["partitions"] for worker in status["workers"]),
        backlog=max(shares, default=None),
        not_running=sum(p["state"] != LaneState.RUNNING for p in partitions),
        unowned=sum(p["owner"] is None for p in partitions),
        silent=sum(worker["silent"] is not None for worker in status["workers"]),
    )


def _partition(partition: int, owner: str | None, told: Told) -> dict[str, Any]:
    """Return how a partition stands; `missing` says what is not known of it, and why."""
    status: dict[str, Any] = {
        "partition": partition,
        "owner": owner,
        "state": "unknown",
        "next_offset": None,
        "end_offset": None,
        "lag": None,
        "lag_seconds": None,
        "rows": None,
        "loaded": None,
        "to_load": None,
        "backlog": None,
        "outcomes": {},
        "letters": None,
    }
    owners = told.get(owner) if owner is not None else None
    if owners is None:
        return status | {"state": "unowned", "missing": "no worker owns it yet"}
    if isinstance(owners, NoAnswer):
        return status | {"missing": str(owners)}
    for own in owners["partitions"]:
        if own["partition"] == partition:
            return {**status, "missing": None, **own, **_not_known(own, owner)}
    return status | {"missing": f"{owner} does not own it (any more, or yet)"}


def _not_known(own: PartitionStatus, owner: str | None) -> dict[str, Any]:
    if own["state"] != LaneState.RUNNING or own["outcomes"] is None:
        return {"rows": None, "outcomes": {}, "missing": f"it is {own['state']} at {owner}"}
    if own["lag"] is None:
        return {"missing": f"{owner} has not read it yet"}
    return {}


def _workers(workers: set[str], routes: Mapping[int, str], told: Told) -> list[dict[str, Any]]:
    """Return which worker owns what, by address; `silent` is why one has not answered, or None."""
    owned: dict[str, list[int]] = {url: [] for url in workers}
    for partition, url in sorted(routes.items()):
        owned[url].append(partition)
    return [
        {"url": url, "partitions": owned[url], "silent": str(no) if isinstance(no := told.get(url), NoAnswer) else None}
        for url in sorted(workers)
    ]


def _sum(figures: list[Figures]) -> Figures:
    return reduce(merge, figures, figures_of((), 0.0))


def _outcomes(counts: Mapping[str, int]) -> dict[str, Any]:
    letters = {o.removeprefix(DEAD_LETTER): n for o, n in sorted(counts.items()) if o.startswith(DEAD_LETTER)}
    return {name: counts.get(name, 0) for name in ("accepted", "duplicate", "forwarded")} | {"dead_letters": letters}
