"""Forms as browsers send them; whatever else is posted is refused before it costs anything."""

from urllib.parse import parse_qsl

from aiohttp import web
from multidict import MultiDict

from app.web.errors import ApiError

FORM_TYPE = "application/x-www-form-urlencoded"

MOST_FIELDS = 1_100
"""Fields that a form may have: as many as letters can be chosen at once, and some."""


async def form_of(request: web.Request, most_bytes: int | None = None) -> MultiDict[str]:
    """Return the fields of a posted form of UTF-8, of at most so many bytes.

    Raises `ApiError`: 415, 413, 400. Nothing else that a header may say of a body is heeded (charset, multipart).
    """
    if request.content_type != FORM_TYPE:
        raise ApiError(415, "bad_content_type", "this takes a form; programs use /api")
    try:
        body = await request.read()
    except (web.RequestPayloadError, ConnectionError) as error:
        raise ApiError(400, "bad_body", "the body is not as the headers say, or not whole") from error
    if most_bytes is not None and len(body) > most_bytes:
        raise ApiError(413, "body_too_large", f"a form may have at most {most_bytes:,} bytes here")
    try:
        return MultiDict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS))
    except ValueError as error:  # no UTF-8, or too many fields
        raise ApiError(400, "bad_body", f"the form must be text, with at most {MOST_FIELDS:,} fields") from error
