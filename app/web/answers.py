"""Answers in JSON."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import islice
from typing import Any

import orjson
from aiohttp import web

SLICE = 500
"""Objects made and encoded at a time: a few ms, so that nothing else has to wait."""

HEADERS = {"Cache-Control": "no-store"}


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return `data` as a JSON response."""
    return encoded_answer(orjson.dumps(data), status, headers)


def encoded_answer(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None, content_type: str = "application/json"
) -> web.Response:
    """Return JSON that is encoded already as a response."""
    return web.Response(
        body=body, status=status, headers=HEADERS | dict(headers or {}), content_type=content_type, charset="utf-8"
    )


async def encoded_list(values: Iterable[Any]) -> orjson.Fragment:
    """Return a long list as JSON, to be put into an answer. Others get their turn while it is made."""
    return orjson.Fragment(b"[" + b",".join([part[1:-1] async for part in encoded_slices(values)]) + b"]")


async def encoded_slices(values: Iterable[Any]) -> AsyncIterator[bytes]:
    """Yield a long list as short JSON lists. Others get their turn while they are made."""
    remaining = iter(values)
    while part := list(islice(remaining, SLICE)):
        yield orjson.dumps(part)
        await asyncio.sleep(0)
