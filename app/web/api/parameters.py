"""Ids of a path and parameters of a query, taken or refused."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from aiohttp import web

from app.views import can_be_id
from app.web.errors import bad_parameter, unknown
from models.errors import shown

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+ -][0-9]{2}:?[0-9]{2})?)?"
)
"""A day or a time. The plus sign of an offset arrives as a space unless it was percent-encoded."""


def id_in_path(request: web.Request, kind: str) -> str:
    """Return the id that ends the path, of an order, customer or product; raises `ApiError` if it can be none's."""
    text: str = request.match_info["id"]
    if not can_be_id(text):
        raise unknown(kind, text)
    return text


def parameters(request: web.Request, known: Collection[str] = ()) -> Mapping[str, str]:
    """Return the parameters; raises `ApiError` for an unknown one or one that is given twice.

    A misspelt parameter would else be ignored, and the answer be one to another question.
    """
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            takes = f"takes {', '.join(known)}" if known else "takes none"
            raise bad_parameter(shown(name), f"there is no such parameter; {request.path} {takes}"[:500])
        if name in given:
            raise bad_parameter(name, "is given twice")
        given[name] = value
    return given


def time_in(given: Mapping[str, str], name: str) -> datetime | None:
    """Return a time as UTC; one without an offset is UTC, a day begins at midnight."""
    text = given.get(name)
    if text is None:
        return None
    try:
        if not _TIME.fullmatch(text):
            raise ValueError  # noqa: TRY301 - there are two ways to be no time, and one answer
        moment = datetime.fromisoformat(text[:11] + text[11:].replace(" ", "+"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        fault = f"must be a time such as 2026-11-21T12:00:00Z, or a day, got {shown(text)}"
        raise bad_parameter(name, fault) from error
