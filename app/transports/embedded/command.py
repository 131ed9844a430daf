"""The configuration of the embedded server, as its command line: valid for Valkey 8 and 9 and for Redis 7.

Every path is relative: the server runs in its own folder, so that a socket's path is never too long, and goes on when
the folder is moved.
"""

from pathlib import Path

from app.engine.errors import Refused

SOCKET = "valkey.sock"
LOG = "server.log"
PID = "server.pid"

FSYNC_POLICIES = ("always", "everysec", "no")

OPTIONS: dict[str, tuple[str, ...]] = {
    # Reached by a socket that only its owner may open, by nothing else.
    "port": ("0",),
    "unixsocket": (SOCKET,),
    "unixsocketperm": ("700",),
    "maxclients": ("1000",),  # more file descriptors than the usual limit would only be warned about
    "databases": ("1",),
    # In the foreground, as the child of its keeper.
    "daemonize": ("no",),
    "supervised": ("no",),
    "pidfile": (PID,),
    "logfile": (LOG,),
    "loglevel": ("notice",),
    # Every write goes to the append-only file; there are no other snapshots than the base of that file.
    "appendonly": ("yes",),
    "save": ("",),
    "aof-use-rdb-preamble": ("yes",),
    "aof-load-truncated": ("yes",),  # the half-written end that a power loss leaves was never acknowledged
    "no-appendfsync-on-rewrite": ("no",),
    # Live data is often small beside what is written, so that a lower limit would rewrite all the time. 256 MB load in
    # one or two seconds.
    "auto-aof-rewrite-percentage": ("100",),
    "auto-aof-rewrite-min-size": ("256mb",),
    # State may never be dropped for want of memory.
    "maxmemory": ("0",),
    "maxmemory-policy": ("noeviction",),
}


def server_command(binary: Path, fsync: str) -> list[str]:
    """Return the command line that starts the server in its folder; `fsync` is appendfsync's policy."""
    if fsync not in FSYNC_POLICIES:
        raise Refused(f"the embedded server cannot sync its file {fsync!r}: write one of {', '.join(FSYNC_POLICIES)}")
    command = [str(binary), "--appendfsync", fsync]
    for name, values in OPTIONS.items():
        command += [f"--{name}", *values]
    return command
