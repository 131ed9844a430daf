"""Answers in JSON."""

import asyncio
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import orjson
from aiohttp import web

SLICE = 500
"""Objects made and encoded at a time: a few ms, so that nothing else has to wait."""

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return `data` as a JSON response."""
    return encoded_answer(orjson.dumps(data), status, headers)


def encoded_answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return JSON that is encoded already as a response."""
    return web.Response(
        body=body,
        status=status,
        headers=HEADERS | dict(headers or {}),
        content_type="application/json",
        charset="utf-8",
    )


async def encoded_list(values: Iterable[Any]) -> orjson.Fragment:
    """Return a long list as JSON, to be put into an answer. Others get their turn while it is made."""
    remaining = iter(values)
    parts = []
    while part := list(islice(remaining, SLICE)):
        parts.append(orjson.dumps(part)[1:-1])
        await asyncio.sleep(0)
    return orjson.Fragment(b"[" + b",".join(parts) + b"]")
