"""What workers ask each other: rows and status of this worker's own partitions. Nothing is ever passed on from here."""

import orjson
from aiohttp import web

from app.engine.errors import NotReady
from app.engine.table import encode_row
from app.web.answers import answer, encoded_answer, encoded_slices
from app.web.errors import ApiError, bad_parameter, not_ready
from app.web.node import Node
from app.web.reading.own_status import OwnStatus
from app.web.reading.peers import APPLICATION_HEADER, ROWS_TYPE
from app.web.reading.queries import query_from
from app.web.reading.whole import own_rows


def internal_routes(node: Node, own: OwnStatus) -> list[web.RouteDef]:
    """Return the routes between workers."""

    async def get_rows(request: web.Request) -> web.Response:
        _check_application(node, request)
        query = query_from(request.match_info["kind"], request.query.get("query", ""))
        try:
            rows = await own_rows(node.engine, query, _partitions(request))
        except NotReady as error:
            raise not_ready(str(error)) from error
        slices = encoded_slices([key, orjson.Fragment(encode_row(row))] for key, row in rows.items())
        return encoded_answer(b"\n".join([part async for part in slices]), content_type=ROWS_TYPE)

    async def get_status(request: web.Request) -> web.Response:
        _check_application(node, request)
        return answer(await own.view())

    return [web.get("/internal/rows/{kind}", get_rows), web.get("/internal/status", get_status)]


def _partitions(request: web.Request) -> list[int]:
    try:
        return sorted({int(partition) for partition in request.query["partitions"].split(",")})
    except (KeyError, ValueError) as error:
        raise bad_parameter("partitions", "must be numbers with commas between them") from error


def _check_application(node: Node, request: web.Request) -> None:
    asker = request.headers.get(APPLICATION_HEADER, node.topic_names.state)
    if asker != node.topic_names.state:
        raise ApiError(421, "other_application", f"this is a worker of {node.topic_names.state}")
