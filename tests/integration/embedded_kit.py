"""Embedded servers as tests see them: their processes, users in other processes, and commands to them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.waiting import wait_until

if not Path("/proc/self/cwd").exists():
    pytest.skip("NOT TESTED: embedded servers; their processes are found in /proc", allow_module_level=True)

USER = """
import sys
from pathlib import Path
from app.transports.embedded import EmbeddedServer

server = EmbeddedServer(Path(sys.argv[1]))
print("begun", flush=True)
sys.stdin.readline()
server.ensure()
print("ready", flush=True)
sys.stdin.readline()
server.close()
"""


class User:
    """A process that uses the embedded server of a folder: it begins when told to, and closes it when told to."""

    def __init__(self, data_dir: Path) -> None:
        command = [sys.executable, "-c", USER, str(data_dir)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect("begun")

    def begin(self) -> None:
        """Have it call `ensure`, without waiting for that to return."""
        self._tell()

    def wait_until_ready(self) -> Self:
        """Wait until its `ensure` has returned."""
        self._expect("ready")
        return self

    def close(self) -> None:
        """Have it close its server, and end."""
        self._tell()
        self.process.communicate(timeout=30)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.process.kill()
        self.process.communicate(timeout=30)

    def _tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def _expect(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == word


@contextmanager
def users_of(data_dir: Path, number: int) -> Iterator[list[User]]:
    """So many processes that have not begun to use the server; those that remain at the end are killed."""
    users = [User(data_dir) for _ in range(number)]
    try:
        yield users
    finally:
        for user in users:
            user.kill()


def processes(data_dir: Path) -> dict[int, str]:
    """Return the command lines of the processes that run in the server's folder, by their ids."""
    folder, found = data_dir.resolve() / "embedded", {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                found[int(entry.name)] = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:  # it has ended, or is another user's
            continue
    return found


def keepers(data_dir: Path) -> list[int]:
    """Return the process ids of the folder's keepers."""
    return [pid for pid, command in processes(data_dir).items() if "keeper.py" in command]


def servers(data_dir: Path) -> list[int]:
    """Return the process ids of the folder's servers."""
    found = processes(data_dir).items()
    return [pid for pid, command in found if "valkey.sock" in command and "keeper.py" not in command]


def kill(pid: int) -> None:
    """End a process at once (SIGKILL), and wait until it has gone."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not _lives(pid), 10, f"end of process {pid}")


def wait_until_ended(data_dir: Path) -> None:
    """Wait until no process and no socket is left of the folder's server."""
    wait_until(lambda: not processes(data_dir), 20, "end of keeper and server", lambda: str(processes(data_dir)))
    assert not (data_dir / "embedded" / "valkey.sock").exists()


@contextmanager
def client(socket: Path) -> Iterator["redis.Redis"]:
    """A client that is closed at the end, and tries nothing twice."""
    connected = redis.Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0))
    try:
        yield connected
    finally:
        connected.close()


def run_id(socket: Path) -> str:
    """Return which run of a server answers at this socket."""
    with client(socket) as connected:
        info = connected.info("server")
        assert isinstance(info, dict)
        return str(info["run_id"])


def _lives(pid: int) -> bool:
    process = Path(f"/proc/{pid}")
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list((process / "task").iterdir())) > 1  # a thread that still ends holds the locks
    except OSError:
        return False
