"""The Lua scripts beside this file, as calls of a client. Each file opens with its keys, arguments and answers."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.commands.core import AsyncScript

from app.transports.redis_streams.connection import Client

_SOURCES = {
    name: files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    for name in ("append", "assign", "claim", "commit", "heartbeat", "probe", "release")
}


class Scripts:
    """The scripts on one client; a server that does not know one is sent it (it forgets them when it restarts)."""

    def __init__(self, client: Client) -> None:
        self._scripts = {name: AsyncScript(client, source) for name, source in _SOURCES.items()}

    async def __call__(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script and return its answer, text as bytes; raises the client's errors."""
        return await self._scripts[name](keys=keys, args=args)
