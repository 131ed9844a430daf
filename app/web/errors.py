"""Everything that a request can be answered with other than what was asked for, always in one JSON shape.

`{"error": {"code": …, "message": …}}`: the code is for programs, the message for people.
"""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app.web.answers import answer
from models.errors import shown

log = logging.getLogger(__name__)

RETRY_SECONDS = 1
"""When to ask again while partitions are on the move: loading one takes about that long."""


class ApiError(Exception):
    """A request that ends with this HTTP status instead of an answer."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def bad_parameter(name: str, fault: str) -> ApiError:
    """Return the error for a parameter that cannot be used."""
    return ApiError(400, "bad_parameter", f"{name}: {fault}")


def unknown(kind: str, key: str) -> ApiError:
    """Return the error for an id that no accepted event has named; `kind` is order, customer or product."""
    return ApiError(404, f"unknown_{kind}", f"there is no {kind} {shown(key)}")


def not_ready(message: str) -> ApiError:
    """Return the error for what cannot be answered now, but soon."""
    return ApiError(503, "not_ready", message, {"Retry-After": str(RETRY_SECONDS)})


AsPage = Callable[[web.Request, ApiError], web.Response | None]
"""Makes a page of an error for a person; None: whoever asks is a program."""


def answered_errors(as_page: AsPage = lambda _, __: None) -> Middleware:
    """Return a middleware that turns whatever a handler raises into an answer."""

    @web.middleware
    async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            failed = error
        except web.HTTPException as error:
            if error.status < 400:
                raise
            failed = _of_http(request, error)
        except Exception:  # the one guard: the client gets an answer, the log the cause
            log.exception("%s %s failed", request.method, shown(request.path_qs))
            failed = ApiError(500, "internal_error", "an error of the server; its log says more")
        return as_page(request, failed) or _answer(failed)

    return answer_errors


def _of_http(request: web.Request, error: web.HTTPException) -> ApiError:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{request.method} is not allowed here, only {allowed}"
        return ApiError(405, "method_not_allowed", message, {"Allow": allowed})
    if isinstance(error, web.HTTPNotFound):
        return ApiError(404, "not_found", f"there is nothing at {shown(request.path)}")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return ApiError(413, "body_too_large", f"a body may have at most {request.client_max_size:,} bytes")
    return ApiError(error.status, HTTPStatus(error.status).name.lower(), error.reason)


def _answer(error: ApiError) -> web.Response:
    return answer({"error": {"code": error.code, "message": error.message}}, error.status, error.headers)
