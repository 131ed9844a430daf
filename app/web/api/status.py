"""`/api/status`: how all workers stand, as far as they can be asked. It answers also when some of them cannot."""

from aiohttp import web

from app.web.answers import answer
from app.web.parameters import parameters
from app.web.reading.group import Group


def status_routes(group: Group) -> list[web.RouteDef]:
    """Return the routes of the status."""

    async def get_status(request: web.Request) -> web.Response:
        parameters(request)
        return answer(await group.status())

    return [web.get("/api/status", get_status)]
