"""`/api/status`: how all workers stand, as far as they can be asked. It answers also when some of them cannot."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from app.engine.lane import LaneState
from app.pipeline import DEAD_LETTER
from app.version import VERSION
from app.web.answers import answer
from app.web.api.parameters import parameters
from app.web.node import Node
from app.web.reading.gathering import gather
from app.web.reading.own_status import own_status
from app.web.reading.peers import NoAnswer, Peers


def status_routes(node: Node, own_url: str, peers: Peers, seconds: float) -> list[web.RouteDef]:
    """Return the routes of the status."""

    async def ask(url: str) -> dict[str, Any]:
        return own_status(node) if url == own_url else await peers.status(url)

    async def get_status(request: web.Request) -> web.Response:
        parameters(request)
        routes = dict(node.routes)
        answers = await gather({url: ask(url) for url in {own_url, *routes.values()}}, seconds)
        partitions = [_partition(p, routes.get(p), answers) for p in range(node.settings.partitions)]
        missing = [{"partition": p["partition"], "reason": reason} for p in partitions if (reason := p.pop("missing"))]
        outcomes = sum((Counter(p.pop("outcomes")) for p in partitions), Counter())
        settings = node.settings
        return answer(
            {
                "app_id": settings.app_id,
                "version": VERSION,
                "broker": settings.broker_shown,
                "ready": all(p["state"] == LaneState.RUNNING for p in partitions),
                "workers": _workers(routes, own_url),
                "partitions": partitions,
                "lag": None if missing else sum(p["lag"] for p in partitions),
                "outcomes": _outcomes(outcomes),
                "complete": not missing,
                "missing": missing,
            }
        )

    return [web.get("/api/status", get_status)]


def _partition(partition: int, owner: str | None, answers: Mapping[str, dict[str, Any] | NoAnswer]) -> dict[str, Any]:
    """Return how a partition stands; `missing` says what is not known of it, and why."""
    status: dict[str, Any] = {
        "partition": partition,
        "owner": owner,
        "state": "unknown",
        "next_offset": None,
        "end_offset": None,
        "lag": None,
        "rows": None,
        "outcomes": {},
    }
    told = answers.get(owner) if owner is not None else None
    if told is None:
        return status | {"state": "unowned", "missing": "no worker owns it yet"}
    if isinstance(told, NoAnswer):
        return status | {"missing": str(told)}
    for own in told["partitions"]:
        if own["partition"] == partition:
            return {**status, "missing": None, **own, **_not_known(own, owner)}
    return status | {"missing": f"{owner} does not own it (any more, or yet)"}


def _not_known(own: Mapping[str, Any], owner: str | None) -> dict[str, Any]:
    if own["state"] != LaneState.RUNNING or own["outcomes"] is None:
        return {"rows": None, "outcomes": {}, "missing": f"it is {own['state']} at {owner}"}
    if own["lag"] is None:
        return {"missing": f"{owner} has not read it yet"}
    return {}


def _workers(routes: Mapping[int, str], own_url: str) -> list[dict[str, Any]]:
    owned: dict[str, list[int]] = {own_url: []}
    for partition, url in sorted(routes.items()):
        owned.setdefault(url, []).append(partition)
    return [{"url": url, "partitions": partitions} for url, partitions in sorted(owned.items())]


def _outcomes(counts: Mapping[str, int]) -> dict[str, Any]:
    letters = {o.removeprefix(DEAD_LETTER): n for o, n in sorted(counts.items()) if o.startswith(DEAD_LETTER)}
    return {name: counts.get(name, 0) for name in ("accepted", "duplicate", "forwarded")} | {"dead_letters": letters}
