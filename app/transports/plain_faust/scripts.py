"""The Lua scripts beside this file. Each opens with its keys, arguments and answers."""

from app.transports.redis_streams.scripts import Script, lua

APPEND, CLAIM, COMMIT = (Script(lua(__package__, name)) for name in ("append", "claim", "commit"))
