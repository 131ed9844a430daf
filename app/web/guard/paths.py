"""Addresses of thousands of parts: aiohttp looks for the route of each of their beginnings, before anybody can refuse.

One of 60 KB took half a second of the event loop, from whoever could connect.
"""

from aiohttp import web
from aiohttp.web_urldispatcher import MatchInfoError, UrlMappingMatchInfo

MOST_PARTS = 32
"""Parts of a path; ours have no more than six."""


def refuse_long_paths(router: web.UrlDispatcher) -> None:
    """Let a router find nothing at addresses of more parts than any of ours."""
    resolve = router.resolve

    async def bounded(request: web.Request) -> UrlMappingMatchInfo:
        if request.rel_url.raw_path.count("/") > MOST_PARTS:
            return MatchInfoError(web.HTTPNotFound())
        return await resolve(request)

    router.resolve = bounded  # type: ignore[method-assign]
