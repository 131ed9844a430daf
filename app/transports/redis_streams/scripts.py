"""The Lua scripts beside this file, as calls of a client. Each file opens with its keys, arguments and answers."""

import contextlib
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from app.engine.errors import Unavailable
from app.transports.redis_streams.connection import Client, RedisServer


def lua(package: str, name: str) -> str:
    """Return the text of a file in the folder `lua` of a package."""
    return files(package).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


_BEGINNING = lua(__package__, "checks") + lua(__package__, "groups")


class Script:
    """A script, begun with the functions that all of them share; a server that does not know it is sent it.

    (It forgets them when it restarts.)
    """

    def __init__(self, text: str) -> None:
        self._source = _BEGINNING + text
        self._digest = hashlib.sha1(self._source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, client: Client, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it and return its answer, text as bytes; raises the client's errors."""
        try:
            return await client.evalsha(self._digest, len(keys), *keys, *args)
        except NoScriptError:
            return await client.eval(self._source, len(keys), *keys, *args)


_SCRIPTS = {
    name: Script(lua(__package__, name))
    for name in ("append", "assign", "claim", "commit", "heartbeat", "probe", "release")
}


class Scripts:
    """The scripts on one client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def __call__(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script and return its answer, text as bytes; raises the client's errors."""
        return await _SCRIPTS[name](self._client, keys, args)


class Session:
    """A client with its scripts, for what goes on for as long as the process does."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The client as it is now, made when it is first asked for: by then it is known where the server is."""
        if self._client is None:
            self._client = self._server.client()
        return self._client

    @property
    def scripts(self) -> Scripts:
        """Its scripts."""
        return Scripts(self.client)

    async def renew(self, failed: Client) -> None:
        """Leave the connection of the client that failed: the server at its other end may be none of ours any more.

        After a failover, it lives on as a replica; in a cluster, our keys may be on another node by now.
        """
        if failed is self._client:
            self._client = None
            with contextlib.suppress(Unavailable):
                await self._server.ensure()
        await failed.aclose()
