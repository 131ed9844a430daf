"""One process's share in the embedded server of a data folder.

A user holds a shared lock on `users.lock`. Whoever finds no keeper starts one: a process (`keeper.py`) that holds
`keeper.lock`, runs the server as its child, and ends with it as soon as it obtains `users.lock` for itself alone, since
then no user is left. Until it has ended, nobody can become a user.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from app.engine.errors import EngineError, Refused, Unavailable
from app.transports.embedded import keeper
from app.transports.embedded.binary import find_binary
from app.transports.embedded.command import server_command
from app.transports.embedded.folder import Folder
from app.transports.embedded.locks import is_same_file, open_lock, try_lock
from app.transports.embedded.ping import LOADING, PONG, ping

logger = logging.getLogger(__name__)

START_SECONDS = 30.0
"""Until a server has to answer something; longer than a keeper may take to stop the one before (`STOP_SECONDS`)."""

LOADING_SECONDS = 900.0
"""Until a server has to have loaded its file: some 100 GB at the pace of an ordinary disk."""

PING_SECONDS = 2.0
PAUSE_SECONDS = 0.02
LOADING_PAUSE_SECONDS = 0.25
KEEPERS_PER_TRY = 3
"""One is enough unless it is killed."""


class EmbeddedServer:
    """One user of the embedded server of a data folder. The server runs while it has at least one user.

    `fsync` is the policy by which the append-only file is synced, if it is this user that starts the server.
    """

    def __init__(self, data_dir: Path, fsync: str = "always") -> None:
        self._folder = Folder(data_dir)
        self._fsync = fsync
        self._users: int | None = None
        self._closed = threading.Event()
        self._mutex = threading.Lock()
        self._seen_failure: int | None = self._failure_time()

    @property
    def socket(self) -> Path:
        """The unix socket where clients connect."""
        return self._folder.socket

    def ensure(self) -> None:
        """Return once a server answers PING on `socket`; it is started or restarted if need be. Blocks.

        Raises `Unavailable` or `Refused`, saying what to do. What ended a server is told once to each user; the next
        call tries again.
        """
        with self._mutex:
            self._folder.prepare()
            begin, keepers, answer, told = time.monotonic(), 0, b"", False
            while True:
                if self._closed.is_set():
                    raise Unavailable(f"the embedded server of {self._folder.path} was closed by its user")
                if self._is_user():
                    keepers += self._start_keeper()
                    answer = ping(self.socket, PING_SECONDS)
                    if answer == PONG:
                        self._seen_failure = self._failure_time()
                        return
                self._check_patience(time.monotonic() - begin, keepers, answer)
                loading = answer.startswith(LOADING)
                if loading and not told:
                    logger.info("the embedded server loads its file in %s; waiting", self._folder.path)
                    told = True
                self._closed.wait(LOADING_PAUSE_SECONDS if loading else PAUSE_SECONDS)

    def close(self) -> None:
        """Be a user no longer; the server ends with its last one. Never raises; cuts a running `ensure` short."""
        self._closed.set()
        with self._mutex:
            if self._users is not None:
                os.close(self._users)
                self._users = None

    def _is_user(self) -> bool:
        """Take the shared lock, if not held yet; not to be had while a keeper stops the server."""
        path = self._folder.users_lock
        with self._folder.usable():
            if self._users is None:
                self._users = open_lock(path)
            elif not is_same_file(self._users, path):
                raise Refused(f"{self._folder.path} was moved or deleted while in use: put it back, or start again")
            return try_lock(self._users, path, shared=True)

    def _start_keeper(self) -> int:
        """Start a keeper if there is none, and return how many were started.

        The lock is taken here and handed on: it belongs to the open file, so that it is never free in between.
        """
        path = self._folder.keeper_lock
        with self._folder.usable():
            lock = open_lock(path)
        try:
            with self._folder.usable():
                if not try_lock(lock, path, shared=False):
                    return 0
            failure = self._new_failure()
            self._folder.check_space()  # first: a full disk is the cause of whatever else went wrong
            if failure is not None:
                raise failure
            command = server_command(find_binary(), self._fsync)
            self._folder.put_socket_aside()
            with self._folder.usable(), self._folder.log.open("ab") as log:
                # In a session of its own, which Ctrl-C in a terminal does not reach. This ends once it has forked.
                subprocess.run(  # noqa: S603 - our own script, with our own arguments
                    [sys.executable, "-I", "-S", str(Path(keeper.__file__).resolve()), str(lock), *command],
                    cwd=self._folder.path,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[lock],
                    start_new_session=True,
                    check=False,
                )
        finally:
            os.close(lock)
        return 1

    def _check_patience(self, seconds: float, keepers: int, answer: bytes) -> None:
        path, log = self._folder.path, self._folder.log
        if answer.startswith(LOADING):
            if seconds > LOADING_SECONDS:
                raise Unavailable(f"the embedded server of {path} still loads its file after {seconds:.0f} s: wait")
            return
        if keepers > KEEPERS_PER_TRY:
            raise Unavailable(f"the embedded server of {path} ends as soon as it is started: see {log}")
        if seconds > START_SECONDS:
            said = f" (it said {answer.decode(errors='replace')!r})" if answer else ""
            raise Unavailable(
                f"the embedded server of {path} does not answer for {seconds:.0f} s{said}: see {log}, and end the "
                f"process in {self._folder.pid.name} if it hangs"
            )

    def _new_failure(self) -> EngineError | None:
        """Return what the keeper wrote when it gave up, unless this user was told it before."""
        when = self._failure_time()
        if when is None or when == self._seen_failure:
            return None
        self._seen_failure = when
        with self._folder.usable():
            kind, _, reason = self._folder.failure.read_text(errors="replace").partition(": ")
        error = Refused if kind == keeper.REFUSED else Unavailable
        return error(f"the embedded server of {self._folder.path} does not run: {reason} (log: {self._folder.log})")

    def _failure_time(self) -> int | None:
        try:
            return self._folder.failure.stat().st_mtime_ns
        except OSError:
            return None
