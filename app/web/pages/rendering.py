"""Makes HTML of templates: everything is escaped, and what is missing is an error, not an empty place."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from aiohttp import web

from app.version import VERSION
from app.web.errors import ApiError

TEMPLATES = Path(__file__).parent / "templates"
HEADERS = {"Cache-Control": "no-store"}
PROGRAMS = ("/api/", "/internal/", "/metrics", "/healthz", "/readyz", "/openapi.json", "/live/")
"""What programs ask: errors are JSON there, whoever asks."""


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "age": age, "moment": _moment, "segment": _segment}
    environment.globals["version"] = VERSION
    return environment


def rendered(template: str, context: Mapping[str, Any]) -> str:
    """Return a whole page."""
    return _environment().get_template(template).render(context)


def live_part(template: str, context: Mapping[str, Any]) -> str:
    """Return the part of a page that changes while it is looked at: its block `live`."""
    found = _environment().get_template(template)
    return "".join(found.blocks["live"](found.new_context(dict(context))))


def page(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return HTML as a response."""
    return web.Response(text=text, status=status, headers=HEADERS | dict(headers or {}), content_type="text/html")


def error_page(request: web.Request, error: ApiError) -> web.Response | None:
    """Return an error as a page for somebody with a browser; who lacks the token is led to where it can be given."""
    if request.path.startswith(PROGRAMS) or "text/html" not in request.headers.get("Accept", ""):
        return None
    if error.status == 401:
        back = request.path_qs if request.method in {"GET", "HEAD"} else request.path.rpartition("/")[0]
        return web.Response(status=303, headers={"Location": f"/login?next={quote(back, safe='')}"})
    headers = {name: value for name, value in error.headers.items() if name != "WWW-Authenticate"}
    return page(rendered("error.html", {"error": error, "place": None, "live": None}), error.status, headers)


def age(seconds: float | None) -> str:
    """Return a length of time as people say it."""
    if seconds is None:
        return "unknown"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _number(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" if math.isfinite(value) else str(value)


def _moment(text: str | None) -> str:
    """Return a time of the API as people read it, to the second."""
    return "" if text is None else datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _segment(text: str) -> str:
    return quote(text, safe="")
