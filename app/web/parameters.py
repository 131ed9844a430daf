"""Ids of a path and parameters of a query, taken or refused."""

from collections.abc import Collection, Mapping

from aiohttp import web

from app.views import can_be_id
from app.web.errors import bad_parameter, unknown
from models.errors import shown


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
