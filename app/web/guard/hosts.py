"""Who a request was meant for, and where it comes from: no other site's page may use a browser that reaches us.

A name in the Host header that is none of ours is a browser that was led here (DNS rebinding); addresses of numbers
cannot be that. A change that a browser sends from another site's page names that site (Fetch standard, Origin and
Sec-Fetch-Site headers).
"""

import ipaddress
import re
import socket

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app.settings import Settings
from app.web.errors import ApiError
from models.errors import shown

PROBES = frozenset({"/healthz", "/readyz"})
"""What may be asked under any name, and without a token: platforms ask as they like, and learn nothing of orders."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]*)?")
"""What browsers and workers send as Host: a name or an address, and a port."""


def host_check(settings: Settings, own_url: str) -> Middleware:
    """Return a middleware that answers only where the request names this server."""
    given = (settings.web_host, socket.gethostname(), _host_of(own_url), *settings.web_allowed_hosts.split(","))
    names = {"localhost", *(_name(name.strip()) for name in given)} - {""}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in PROBES:
            return await handler(request)
        name = _name(request.headers.get("Host", ""))
        if name not in names and not _is_address(name):
            message = f"this server is not called {shown(name)}; see ORDERS_WEB_ALLOWED_HOSTS"
            raise ApiError(421, "unknown_host", message)
        return await handler(request)

    return check


@web.middleware
async def origin_check(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse changes that another site's page has sent."""
    if request.method not in READING:
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        foreign = site not in {None, "same-origin", "none"}
        if foreign or (origin is not None and _host_of(origin) != request.headers.get("Host", "").lower()):
            raise ApiError(403, "foreign_origin", "changes are taken from pages of this server only")
    return await handler(request)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name(host: str) -> str:
    """Return the name or address in a Host header, without its port; "" if there is none."""
    found = _HOST.fullmatch(host)
    return (found["name"] or found["address"]).lower() if found else ""


def _host_of(url: str) -> str:
    """Return what stands in the Host header of a request to an address."""
    return url.partition("://")[2].partition("/")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
