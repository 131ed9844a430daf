"""Asks other workers over HTTP, and says in words why one gives no answer. Never asked on behalf of another worker."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson
from msgspec import Raw, json
from yarl import URL

from app.settings import Settings
from app.topics import Topics
from app.web.errors import ApiError
from app.web.keys import worker_key
from app.web.reading.queries import Query, path, written

ROWS_TYPE = "application/x-ndjson"
"""How rows travel: as JSON lists of [key, row], one a line, so that no single one takes long to parse."""

_ROWS = json.Decoder(list[tuple[str, Raw]])

APPLICATION_HEADER = "X-Orderflow-Application"
"""Names the state topic of the one who asks: an address may meanwhile belong to a worker of another application."""


class NoAnswer(Exception):
    """A worker did not answer; the text says why, as the end of a sentence."""


class Peers:
    """The other workers of the application. How long an answer may take is for the caller to say."""

    def __init__(self, settings: Settings, topics: Topics) -> None:
        self._headers = {APPLICATION_HEADER: topics.state}
        if settings.web_token is not None:
            self._headers["Authorization"] = f"Bearer {worker_key(settings.web_token)}"
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def rows(self, url: str, query: Query, partitions: Iterable[int]) -> AsyncIterator[list[tuple[str, Raw]]]:
        """Yield (key, row as JSON), some at a time, of what the worker at `url` has in `partitions`.

        It must own all of them. Raises `NoAnswer`, or `ApiError` if the query asks for too much.
        """
        asked = {"partitions": ",".join(map(str, partitions)), "query": written(query)}
        for line in (await self._get(url, path(query), asked)).splitlines():
            yield _parsed(url, line, _ROWS.decode)

    async def status(self, url: str) -> dict[str, Any]:
        """Return what the worker at `url` says of itself; raises `NoAnswer`."""
        status: dict[str, Any] = _parsed(url, await self._get(url, "/internal/status", {}), orjson.loads)
        return status

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _get(self, url: str, path: str, parameters: Mapping[str, str]) -> bytes:
        if self._closed:
            raise NoAnswer("this worker is stopping")
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers)
        try:
            target = URL(url + path).with_query(parameters)
            async with self._session.get(target, allow_redirects=False) as response:
                body = await response.read()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswer(f"no answer from {url} ({_reason(error)})") from error
        if response.status == HTTPStatus.OK:
            return body
        raise _refusal(url, response.status, body)


def _parsed(url: str, body: bytes, parse: Callable[[bytes], Any]) -> Any:
    try:
        return parse(body)
    except ValueError as error:  # what both parsers raise
        raise NoAnswer(f"{url} answered with something else than JSON") from error


def _refusal(url: str, status: int, body: bytes) -> Exception:
    try:
        error = orjson.loads(body)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        code, message = "", ""
    if code == "too_many_rows":
        return ApiError(status, code, message)
    if code == "not_ready":
        return NoAnswer(f"{message} at {url}")
    return NoAnswer(f"{url} answered {status}{message and ': ' + message}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
