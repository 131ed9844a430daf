"""The Lua scripts beside this file, as calls of a client. Each file opens with its keys, arguments and answers."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from app.transports.redis_streams.connection import Client

_CHECKS = files("app.transports.redis_streams").joinpath("lua", "checks.lua").read_text(encoding="utf-8")


def _read(name: str) -> str:
    return files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


class Script:
    """One script; a server that does not know it is sent it."""

    def __init__(self, name: str) -> None:
        self._source = f"{_CHECKS}\n{_read('common')}\n{_read(name)}"
        self._digest = hashlib.sha1(self._source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, client: Client, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it and return its answer, text as bytes; raises the client's errors."""
        try:
            return await client.evalsha(self._digest, len(keys), *keys, *args)
        except NoScriptError:
            return await client.eval(self._source, len(keys), *keys, *args)


APPEND = Script("append")
CLAIM = Script("claim")
COMMIT = Script("commit")
