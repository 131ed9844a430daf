"""Who may ask: everybody, or whoever brings the token of ORDERS_WEB_TOKEN."""

import hmac
import ipaddress
import logging

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app.settings import Settings
from app.web.errors import ApiError

log = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""What needs no token: probes of a container's platform have none, and learn nothing of the orders."""


def token_check(token: str) -> Middleware:
    """Return a middleware that lets a request pass only if it brings `token`, or asks for one of `OPEN_PATHS`."""
    expected = token.encode()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in OPEN_PATHS:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            # Compared in constant time: how long it takes must not tell how much of a guess was right.
            right = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), expected)
            if scheme.lower() != "bearer" or not right:
                raise ApiError(
                    401,
                    "unauthorized",
                    "this needs the header Authorization: Bearer … with the token of ORDERS_WEB_TOKEN",
                    {"WWW-Authenticate": 'Bearer realm="orderflow"'},
                )
        return await handler(request)

    return check


def warn_if_open(settings: Settings) -> None:
    """Say so in the log if anybody in the network can read all orders."""
    if settings.web_token is None and not _is_loopback(settings.web_host):
        log.warning(
            "The web server listens on %s without a token: whoever reaches it can read all orders. "
            "Set ORDERS_WEB_TOKEN, or ORDERS_WEB_HOST=127.0.0.1",
            settings.web_host or "all addresses",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
