"""The keeper of an embedded server: starts it, restarts it when it is killed, stops it once its last user has gone.

Run as a script (`python -I -S keeper.py LOCK COMMAND…`) in the server's folder. It uses the standard library alone, so
that it starts fast and stays small; nothing of the application may be imported here. LOCK is the descriptor of
`keeper.lock`, locked already: it stays open, and so locked, for as long as this process lives.

The server in turn holds `server.lock`, through a descriptor that it inherits without knowing: the kernel frees it when
the last process of that server has gone, so no second one ever writes the same file, whatever became of its keeper.
"""

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

LOG, SOCKET = Path("server.log"), "valkey.sock"
ORPHAN_SOCKET = "orphan.sock"
"""Where the socket of a server is that lost its keeper."""

LOG_BYTES = 10_000_000
STOP_SECONDS = 10.0
CALM_SECONDS = 30.0
PAUSES = (0.0, 0.1, 0.5, 1.0, 2.0)
"""Seconds before each restart; one that lived for CALM_SECONDS begins anew, the death after the last one is final."""

REFUSED, FAILED = "refused", "failed"
PR_SET_PDEATHSIG = 1


class Keeper:
    """Runs the server, in the main thread: the kernel ends the server with the thread that started it."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._server: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self._mutex = threading.Lock()

    def run(self) -> None:
        """Keep the server running until the last user has gone, or until it cannot be kept running."""
        users = os.open("users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        watcher = threading.Thread(target=self._end_with_last_user, args=[users], daemon=True)
        watcher.start()
        beginning_with = die_with_parent()
        deaths = 0
        while not self._ending.wait(PAUSES[deaths - 1] if deaths else 0):
            log_begin, started = rotated_log_size(), time.monotonic()
            try:
                code = self._run_once(beginning_with)
            except (OSError, subprocess.SubprocessError) as error:
                give_up(REFUSED, f"it cannot be started: {error}")
                return
            deaths = 1 if time.monotonic() - started > CALM_SECONDS else deaths + 1
            # A server that ends by itself says why; only one that was killed is worth another start.
            if not self._ending.is_set() and (code > 0 or deaths > len(PAUSES)):
                give_up(FAILED, why_ended(code, deaths, log_begin))
                return
        watcher.join()

    def _run_once(self, beginning_with: Callable[[], None] | None) -> int:
        """Start the server and wait for its end; returns its exit code (0 if it was not to be started any more)."""
        lock = wait_for_former_server()
        try:
            with self._mutex:
                if self._ending.is_set():
                    return 0
                self._server = subprocess.Popen(self._command, pass_fds=[lock], preexec_fn=beginning_with)  # noqa: PLW1509, S603
        finally:
            os.close(lock)
        code = self._server.wait()
        remove_socket()
        return code

    def _end_with_last_user(self, users: int) -> None:
        try:
            fcntl.flock(users, fcntl.LOCK_EX)
        finally:  # without a watcher the server would never end, so it ends with the watcher
            self._ending.set()
            with self._mutex:
                server = self._server
            if server is not None:
                stop(server)
                remove_socket()
            os._exit(0)


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server in good order, or after STOP_SECONDS at once: what it has acknowledged is in its file anyway."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def remove_socket() -> None:
    """Remove what a server leaves behind that could not end in good order."""
    Path(SOCKET).unlink(missing_ok=True)


def wait_for_former_server() -> int:
    """Return the descriptor of `server.lock`, locked, once no process of a former server is left.

    One whose keeper was killed ends by itself on Linux; elsewhere it is told to.
    """
    lock = os.open("server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(ORPHAN_SOCKET)
                connection.sendall(b"SHUTDOWN NOSAVE NOW FORCE\r\n")
        except OSError:
            pass
        fcntl.flock(lock, fcntl.LOCK_EX)
    for left in (Path(ORPHAN_SOCKET), *Path().glob("temp-*.aof")):  # rewrites cut short, each as large as all data
        left.unlink(missing_ok=True)
    return lock


def die_with_parent() -> Callable[[], None] | None:
    """Return what a child has to call so that it is asked to end when its parent does; only Linux knows how."""
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415 - needed on Linux only

    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(0)

    return in_child


def rotated_log_size() -> int:
    """Return the size of the log in bytes; one that grew too large is put aside first."""
    if LOG.exists() and LOG.stat().st_size > LOG_BYTES:
        LOG.replace("server.log.1")
    return LOG.stat().st_size if LOG.exists() else 0


def why_ended(code: int, deaths: int, log_begin: int) -> str:
    """Return why the server ended: by itself, its log says from this position on, else how it was ended."""
    if code <= 0:
        how = f"killed by {signal.Signals(-code).name}" if code else "shut down"
        return f"it was {how}, {deaths} times in a row"
    with LOG.open("rb") as log:
        log.seek(log_begin)
        lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    warnings = [line for line in lines if re.match(r"\d+:\w .* # (?!WARNING)", line)][-2:]
    telling = [re.sub(r"^\d+:\w .*? [.*#-] ", "", line) for line in warnings or lines[-1:]]
    return " ".join(telling) or f"it ended with exit code {code}"


def give_up(kind: str, reason: str) -> None:
    """Leave word for the users of why there is no server; on a full disk they see that for themselves."""
    try:
        Path("failure.new").write_text(f"{kind}: {reason}")
        Path("failure.new").replace("failure")
    except OSError as error:
        print(f"keeper: {reason}; and the folder cannot be written: {error}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__" and os.fork() == 0:  # so that it is nobody's child, and whoever started it need not wait
    Keeper(sys.argv[2:]).run()
