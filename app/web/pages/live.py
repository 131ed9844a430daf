"""Pages that change while they are looked at: the part that changes is rendered anew, and sent if it is another one.

However many look at the same page, it is rendered once (`Costly`). A browser that is sent nothing for a while gets a
sign of life, so that both sides notice a broken connection.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import orjson
from aiohttp import web
from prometheus_client import Gauge

from app.web.errors import ApiError
from app.web.pages.rendering import live_part, page, rendered
from app.web.reading.costly import Costly

LOOK_SECONDS = 1.0
ALIVE_SECONDS = 10.0
STREAM_SECONDS = 600.0
"""Then the browser asks again, and shows anew that it may."""

TAKE_SECONDS = 10.0
"""How long a browser may take to read something; else it would keep its place for ever by reading nothing."""

MOST_STREAMS = 200
MOST_KEPT = 128

LIVE = "/live"
"""Before the path of a page: the stream of its changes."""


class View(NamedTuple):
    """A page to be: its template, and what it shows. `place` is the entry of the menu that it belongs to."""

    template: str
    place: str
    context: Mapping[str, Any]

    def all(self, live: str | None) -> Mapping[str, Any]:
        """Return what the template gets."""
        return {**self.context, "place": self.place, "live": live}


class Asked(NamedTuple):
    """What somebody wants to look at: an address, taken apart."""

    path: str
    query: Mapping[str, str]
    match_info: Mapping[str, str]


Look = Callable[[Asked], Awaitable[View]]
"""Looks up what a page shows, now. Raises `ApiError`."""


class LivePages:
    """Serves pages, and streams of what changes in them."""

    def __init__(self, streams: Gauge) -> None:
        self._streams = streams
        self._open = 0
        self._parts: dict[str, Costly[str]] = {}
        self._stopping = asyncio.Event()

    def routes(self, path: str, look: Look) -> list[web.RouteDef]:
        """Return the routes of a page and of its stream."""

        async def get_page(request: web.Request) -> web.Response:
            view = await look(Asked(request.path, request.query, request.match_info))
            return page(rendered(view.template, view.all(LIVE + request.path_qs)))

        async def get_stream(request: web.Request) -> web.StreamResponse:
            asked = Asked(request.path.removeprefix(LIVE), request.query, request.match_info)
            return await self._stream(request, self._part(asked, request.path_qs, look))

        return [web.get(path, get_page), web.get(LIVE + path, get_stream, allow_head=False)]

    def stop(self) -> None:
        """End all streams."""
        self._stopping.set()

    async def _stream(self, request: web.Request, part: Costly[str]) -> web.StreamResponse:
        now = await part.get()  # what cannot be looked up is an error, and no stream
        if self._open >= MOST_STREAMS:
            raise ApiError(503, "too_many_streams", "too many pages are looked at", {"Retry-After": "10"})
        response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        self._open += 1
        self._streams.set(self._open)
        try:
            await response.prepare(request)
            await self._send_changes(request, response, part, now)
        except ConnectionError:
            pass  # the browser has gone
        finally:
            self._open -= 1
            self._streams.set(self._open)
        return response

    async def _send_changes(
        self, request: web.Request, response: web.StreamResponse, part: Costly[str], now: str
    ) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + STREAM_SECONDS
        sent, sent_at = "", 0.0
        # Without a transport the browser has gone; a write would tell only when there is something to write.
        while loop.time() < end and not self._stopping.is_set() and request.transport is not None:
            if now != sent:
                await _send(request, response, b"data: " + orjson.dumps({"html": now}) + b"\n\n")
                sent, sent_at = now, loop.time()
            elif loop.time() - sent_at > ALIVE_SECONDS:
                await _send(request, response, b": alive\n\n")
                sent_at = loop.time()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._stopping.wait()
            except TimeoutError:
                pass
            try:
                now = await part.get()
            except ApiError:
                continue  # a partition on the move: what was there last stays, and the next look tells

    def _part(self, asked: Asked, path: str, look: Look) -> Costly[str]:
        if path not in self._parts:

            async def render() -> str:
                view = await look(asked)
                return live_part(view.template, view.all(path))

            if len(self._parts) >= MOST_KEPT:
                del self._parts[next(iter(self._parts))]
            self._parts[path] = Costly(render)
        return self._parts[path]


async def _send(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Send something; raises `ConnectionError` if the browser has gone, or does not take it."""
    try:
        async with asyncio.timeout(TAKE_SECONDS):
            await response.write(data)
    except TimeoutError as error:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionError("what is sent is not taken") from error
