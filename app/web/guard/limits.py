"""How much one client may ask: requests per second, wrong tokens, and how long an answer may take."""

import asyncio
import time
from collections import OrderedDict
from ipaddress import IPv6Address

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app.web.errors import ApiError
from app.web.guard.hosts import PROBES

MOST_CLIENTS = 10_000
"""Addresses that are remembered; the one that was silent longest is forgotten first."""

ANSWER_SECONDS = 30.0
"""How long an answer may take, the reading of the request's body included."""

INTERNAL = "/internal/"
"""Asked by other workers, one of them for many clients. Where there is a token, only they can ask."""

ENDLESS = web.AppKey("endless", set[str])
"""The routes whose answers go on for as long as the client likes."""


class Allowance:
    """So many per second for each client, and no more than `burst` at once (a token bucket per address)."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> float:
        """Take one; returns 0, or for how many seconds there is none left."""
        left = self._now(client)
        if left < 1.0:
            return (1.0 - left) / self._per_second
        self._put(client, left - 1.0)
        return 0.0

    def left(self, client: str) -> float:
        """Return for how many seconds there is none left, and take none."""
        return max(0.0, (1.0 - self._now(client)) / self._per_second)

    def _now(self, client: str) -> float:
        left, at = self._left.get(client, (self._burst, 0.0))
        return min(self._burst, left + (time.monotonic() - at) * self._per_second)

    def _put(self, client: str, left: float) -> None:
        self._left[client] = (left, time.monotonic())
        self._left.move_to_end(client)
        if len(self._left) > MOST_CLIENTS:
            self._left.popitem(last=False)


def client_of(request: web.Request) -> str:
    """Return for whom a request counts: its address; in IPv6 the network of 64 bits, which is one customer's."""
    remote = request.remote or ""
    if ":" not in remote:
        return remote
    address = IPv6Address(remote)
    return str(address.ipv4_mapped or (int(address) >> 64))


def too_many(seconds: float, what: str) -> ApiError:
    """Return the error for a client who has asked too often."""
    retry = {"Retry-After": str(int(seconds) + 1)}
    return ApiError(429, "too_many_requests", f"too many {what} from one address", retry)


def rate_limit(per_second: float) -> Middleware:
    """Return a middleware that lets each client send so many requests per second, twice as many at once."""
    allowance = Allowance(per_second, max(1.0, 2 * per_second))

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        free = request.path in PROBES or request.path.startswith(INTERNAL)
        wait = 0.0 if free else allowance.take(client_of(request))
        if wait:
            raise too_many(wait, "requests")
        return await handler(request)

    return limit


@web.middleware
async def time_limit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """End answers that take too long, so that a client who sends a body slowly holds up nothing."""
    resource = request.match_info.route.resource
    if resource is not None and resource.canonical in request.app.get(ENDLESS, ()):
        return await handler(request)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await handler(request)
    except TimeoutError as error:
        raise ApiError(408, "too_slow", f"the request was not over within {ANSWER_SECONDS:g} s") from error
