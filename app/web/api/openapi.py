"""`/openapi.json`: the API described for programs (OpenAPI 3.1): each address, what it takes and all it can answer.

The description is made of the code's own limits and lists, and tests hold it against real answers.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from app.version import VERSION
from app.views import VIEWS
from app.web.answers import answer
from app.web.api import orders, schemas
from app.web.api.schemas import SCHEMAS, Schema, asked, fault, named, page, record
from app.web.deeds import MOST as MOST_LETTERS
from app.web.parameters import CHOOSING, parameters
from app.web.reading.lists import MOST as MOST_ROWS

MEANINGS: Mapping[str, str] = {
    "bad_parameter": "a parameter is missing, unknown, given twice or cannot be used; the message names it",
    "too_many_rows": "the answer would be too long: ask for less",
    "bad_body": "the body is not as it must be; the message says what is wrong",
    "unauthorized": "the token is missing or wrong",
    "foreign_origin": "a browser has sent this from a page of another site",
    "unknown_order": "no accepted event has named it",
    "unknown_customer": "no accepted event has named it",
    "unknown_product": "no accepted event has named it",
    "unknown_letter": "there is none of that id, or it was deleted",
    "not_found": "there is no such address",
    "too_slow": "the request was not over in time",
    "ambiguous_order": "several customers have an order of that id: name one",
    "not_open": "a letter is closed, parked, or there is none: nothing was asked for",
    "body_too_large": "the body is too large",
    "bad_content_type": "the body must come as application/json",
    "unknown_host": "this server is not called what the Host header says",
    "too_many_requests": "too many from one address: ask again after Retry-After",
    "not_ready": "a partition is moving, loading or silent: ask again after Retry-After",
    "failing": "the worker is ending; the message says why",
}
"""All codes of errors, by what they mean. Only `internal_error` (500) is not here: a fault of the server."""

_ALL = {408: ("too_slow",)}
_GUARDED = {**_ALL, 429: ("too_many_requests",), 401: ("unauthorized",), 421: ("unknown_host",)}
_POSTED = {403: ("foreign_origin",), 413: ("body_too_large",), 415: ("bad_content_type",)}
_NOT_READY = {503: ("not_ready",)}
_READING = {**_GUARDED, **_NOT_READY, 400: ("bad_parameter",)}
_HEADERS: Mapping[str, Mapping[str, Schema]] = {
    "unauthorized": {"WWW-Authenticate": {"type": "string"}},
    "too_many_requests": {"Retry-After": {"type": "integer", "minimum": 1}},
    "not_ready": {"Retry-After": {"type": "integer", "minimum": 1}},
}

Faults = Mapping[int, tuple[str, ...]]
"""The codes of the errors of each status."""


def openapi_routes() -> list[web.RouteDef]:
    """Return the route of the description."""
    described = description()

    async def get_description(request: web.Request) -> web.Response:
        parameters(request)
        return answer(described)

    return [web.get("/openapi.json", get_description)]


def description() -> dict[str, Any]:
    """Return the API as an OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Orderflow",
            "version": VERSION,
            "description": "Live, exact totals of order events. Every worker answers, for every key. Money is text "
            "with the decimals of its currency, times are in UTC. An answer is whole or there is none.",
        },
        "security": [{}, {"token": []}],
        "paths": _paths(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "needed where ORDERS_WEB_TOKEN is set"}
            },
        },
    }


def _paths() -> dict[str, Any]:
    return {
        "/api/orders": _get(
            "getOrders",
            "Orders of a customer, or those that events have changed last since the workers took their partitions",
            record({"orders": {"type": "array", "items": named("Order"), "maxItems": orders.MOST}}),
            [_query("customer_id", schemas.ID), _query("limit", schemas.limit(20, orders.MOST))],
            links={"order": _link("getOrder", order_id="orders/0/order_id", customer_id="orders/0/customer_id")},
        ),
        "/api/orders/{order_id}": _get(
            "getOrder",
            "An order as it stands",
            named("Order"),
            [_in_path("order_id", schemas.ID), _query("customer_id", schemas.ID)],
            {404: ("unknown_order", "not_found"), 409: ("ambiguous_order",)},
        ),
        "/api/customers": _totals("customers", "Customer", "customer_id"),
        "/api/customers/{customer_id}": _total("customer", "customer_id"),
        "/api/products": _totals("products", "Product", "sku"),
        "/api/products/{sku}": _total("product", "sku"),
        "/api/revenue": _get(
            "getRevenue",
            "What came in and went back, by minute, hour or day",
            named("Revenue"),
            [
                _query("currency", schemas.CURRENCY, required=True),
                _query("from", schemas.TIME_GIVEN, "the first moment; in UTC it must be of the years 1 to 9999"),
                _query("to", schemas.TIME_GIVEN, "the first moment that no longer counts, not before `from`"),
                _query("step", schemas.STEP),
            ],
            {400: ("bad_parameter", "too_many_rows")},
        ),
        **_letter_paths(),
        "/api/status": _get("getStatus", "How all workers stand", named("Status"), faults={}, reads=False),
        "/openapi.json": _get(
            "getDescription", "This description", {"type": "object", "required": ["openapi", "paths"]}, reads=False
        ),
        "/metrics": {"get": _operation("getMetrics", "Counters and gauges of this worker", _text(), _GUARDED)},
        "/healthz": _probe("getHealth", "Whether this process should live on", "ok", "failing"),
        "/readyz": _probe("getReadiness", "Whether this worker runs all of its partitions", "ready", "not_ready"),
    }


def _letter_paths() -> dict[str, Any]:
    of_fields = {"state": schemas.STATES_GIVEN, "cause": schemas.CAUSES_GIVEN}
    return {
        "/api/dead-letters": _get(
            "getLetters",
            "Dead letters, open ones unless states are named, in the order of their records",
            page("letters", named("Letter")),
            [
                *(_query(name, of_fields.get(name, schemas.TEXT), "any of these, with commas") for name in CHOOSING),
                _query("since", schemas.TIME_GIVEN, "of the first failure; in UTC of the years 1 to 9999"),
                _query("until", schemas.TIME_GIVEN, "the first moment that no longer counts"),
                _query("limit", schemas.limit(100, MOST_LETTERS)),
                _query("after", schemas.LETTER_GIVEN, "`next` of the page before"),
            ],
            links={"next": _link("getLetters", after="next"), "letter": _link("getLetter", id="letters/0/id")},
        ),
        "/api/dead-letters/stats": _get("getLetterFigures", "How many letters there are", named("LetterFigures")),
        "/api/dead-letters/{id}": _get(
            "getLetter",
            "All of a dead letter",
            named("WholeLetter"),
            [_in_path("id", schemas.LETTER_ID)],
            {404: ("unknown_letter", "not_found")},
        ),
        "/api/dead-letters/redrive": _post("redrive", "Have letters tried again, mended or as they are", mends=True),
        "/api/dead-letters/purge": _post("purge", "Give letters up", mends=False),
    }


def _totals(table: str, name: str, id_name: str) -> dict[str, Any]:
    added_up = VIEWS[table].customer_of is None  # over partitions, so that the table is read whole
    return _get(
        f"get{name}s",
        f"{name}s, sorted",
        page(table, named(name)),
        [
            _query("sort", schemas.sort(table), "with - before it: downwards; money with its currency, as in net:GBP"),
            _query("limit", schemas.limit(20, MOST_ROWS)),
            _query("cursor", schemas.TEXT, "`next` of the page before, with the same sort"),
        ],
        {400: ("bad_parameter", "too_many_rows")} if added_up else {},
        links={name.lower(): _link(f"get{name}", **{id_name: f"{table}/0/{id_name}"})},
    )


def _total(kind: str, id_name: str) -> dict[str, Any]:
    name = kind.capitalize()
    faults = {404: (f"unknown_{kind}", "not_found")}
    return _get(f"get{name}", f"The totals of a {kind}", named(name), [_in_path(id_name, schemas.ID)], faults)


def _get(
    name: str,
    summary: str,
    schema: Schema,
    takes: Iterable[Schema] = (),
    faults: Faults | None = None,
    *,
    reads: bool = True,
    links: Mapping[str, Schema] | None = None,
) -> dict[str, Any]:
    """Return what reading an address means; `reads`: partitions of any worker, which may not be ready."""
    every = _READING if reads else {**_GUARDED, 400: ("bad_parameter",)}
    answers = {200: {**_json(schema), **({"links": links} if links else {})}}
    return {"get": _operation(name, summary, answers, {**every, **(faults or {})}, parameters=list(takes))}


def _probe(name: str, summary: str, word: str, code: str) -> dict[str, Any]:
    schema = record({"status": {"const": word}})
    return {"get": _operation(name, summary, {200: _json(schema)}, {**_ALL, 503: (code,)}, security=[])}


def _post(deed: str, summary: str, *, mends: bool) -> dict[str, Any]:
    count = {"type": "integer", "minimum": 1, "maximum": MOST_LETTERS, "description": "letters"}
    answers = {202: _json(record({"deed": {"const": deed}, "asked": count}), "Asked for: it is done soon after.")}
    faults = {**_READING, **_POSTED, 400: ("bad_parameter", "bad_body"), 409: ("not_open",)}
    body = {"required": True, "content": {"application/json": {"schema": asked(mends=mends)}}}
    return {"post": _operation(deed, summary, answers, faults, requestBody=body)}


def _operation(name: str, summary: str, answers: Mapping[int, Schema], faults: Faults, **more: Any) -> dict[str, Any]:
    every = {**answers, **{status: _fault(codes) for status, codes in faults.items()}}
    responses = {str(status): response for status, response in sorted(every.items())}
    return {"operationId": name, "summary": summary, **more, "responses": responses}


def _fault(codes: tuple[str, ...]) -> Schema:
    meaning = "; ".join(f"`{code}`: {MEANINGS[code]}" for code in codes)
    headers = {name: {"required": True, "schema": schema} for name, schema in _HEADERS.get(codes[0], {}).items()}
    return {**_json(fault(*codes), meaning), **({"headers": headers} if headers else {})}


def _json(schema: Schema, meaning: str = HTTPStatus.OK.phrase) -> Schema:
    return {"description": meaning, "content": {"application/json": {"schema": schema}}}


def _text() -> Mapping[int, Schema]:
    return {200: {"description": "For Prometheus.", "content": {"text/plain": {"schema": {"type": "string"}}}}}


def _query(name: str, schema: Schema, meaning: str = "", *, required: bool = False) -> Schema:
    said = {"description": meaning} if meaning else {}
    return {"name": name, "in": "query", "required": required, "schema": schema, **said}


def _link(to: str, **places: str) -> Schema:
    """Return what can be asked next, with parameters from these places of the answer."""
    return {"operationId": to, "parameters": {name: f"$response.body#/{place}" for name, place in places.items()}}


def _in_path(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}
