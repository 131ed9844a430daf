"""The folder of an embedded server: its files, the path of its socket, and what is wrong when it cannot be used."""

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.engine.errors import Refused, Unavailable
from app.transports.embedded.command import LOG, PID, SOCKET
from app.transports.embedded.keeper import ORPHAN_SOCKET

SOCKET_PATH_BYTES = 103
"""The longest path of a unix socket: 108 bytes on Linux and 104 on macOS, the closing zero included."""

MIN_FREE_BYTES = 16 * 2**20
"""With less, the next few steps would fill the disk."""


class Folder:
    """`<data folder>/embedded`, and everything in it.

    `socket` is where clients connect. The socket itself always is in the folder; where that path is too long, clients
    reach it by a short one, through a link to the folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir.resolve() / "embedded"
        self.users_lock = self.path / "users.lock"
        self.keeper_lock = self.path / "keeper.lock"
        self.failure = self.path / "failure"
        self.log = self.path / LOG
        self.pid = self.path / PID
        self.socket = self.path / SOCKET
        self._links: Path | None = None
        if len(os.fsencode(self.socket)) > SOCKET_PATH_BYTES:
            self._links = _short_folder()
            self.socket = self._links / hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16] / SOCKET

    def prepare(self) -> None:
        """Make the folder and what leads to it; raises `Refused` or `Unavailable` if it cannot be."""
        with self.usable():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._links is not None:
                _make_private(self._links)
                with suppress(FileExistsError):  # its name is a hash of where it leads to
                    self.socket.parent.symlink_to(self.path)

    def check_space(self) -> None:
        """Raise `Unavailable` if the disk is as good as full."""
        with self.usable():
            free = shutil.disk_usage(self.path).free
        if free < MIN_FREE_BYTES:
            raise Unavailable(
                f"only {free / 2**20:.1f} MB are left on the disk of {self.path}, which is too little to go on: "
                f"make room, or set ORDERS_DATA_DIR to a folder on another disk"
            )

    def put_socket_aside(self) -> None:
        """Let nobody reach a server that lost its keeper: it is about to end. The next keeper finds it there."""
        with self.usable(), suppress(FileNotFoundError):
            (self.path / SOCKET).replace(self.path / ORPHAN_SOCKET)

    @contextmanager
    def usable(self) -> Iterator[None]:
        """Turn the system's errors about these files into ours."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Unavailable(f"no space is left for {self.path} ({error.strerror}): make room") from error
            raise Refused(
                f"{error.filename or self.path} cannot be used ({error.strerror}): let this user write there, "
                f"or set ORDERS_DATA_DIR to another folder"
            ) from error


def _short_folder() -> Path:
    name = f"orderflow-{os.getuid()}"
    room = SOCKET_PATH_BYTES - len(f"/{name}/{'x' * 16}/{SOCKET}")
    wanted = Path(tempfile.gettempdir()).resolve()
    return (wanted if len(os.fsencode(wanted)) <= room else Path("/tmp")) / name  # noqa: S108 - its owner is checked


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Refused(
            f"{folder} is not a folder that this user alone can open: remove it, or set TMPDIR to another one"
        )
