"""A small disk of a node's own, which can be filled without harm to anything else: an image file, mounted."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

IMAGE_BYTES = 40 << 30
"""What a node may write in a long run; the file is sparse."""

MORE_BYTES = 64 << 10
"""With less than this left, a disk counts as full."""

TOOLS = ("mkfs.ext4", "mount", "umount", "fallocate")
SBIN = "/usr/sbin:/sbin"


def missing() -> str:
    """Return what this machine lacks for it, "" if nothing."""
    if os.geteuid() != 0:
        return "only root may mount a disk for it"
    lacking = [tool for tool in TOOLS if shutil.which(tool, path=f"{os.environ.get('PATH', '')}:{SBIN}") is None]
    if lacking:
        return f"{', '.join(lacking)} not installed"
    return "" if Path("/dev/loop-control").exists() else "there are no loop devices"


class Disk:
    """A context manager: mounted at `folder`, which it makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._image = folder.with_name(folder.name + ".img")
        self._ballast = folder / "ballast"

    def __enter__(self) -> Self:
        """Mount it, empty."""
        self.folder.mkdir(parents=True)
        with self._image.open("wb") as image:
            image.truncate(IMAGE_BYTES)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", str(self._image))
        _run("mount", "-o", "loop", str(self._image), str(self.folder))
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount it; what was on it is gone, but for logs, which are kept beside it."""
        with suppress(OSError):
            for log in self.folder.rglob("*.log"):
                if log.name in {"broker.log", "server.log"}:
                    shutil.copy(log, self.folder.with_name(f"{self.folder.name}-{log.name}"))
        _run("umount", "-l", str(self.folder))
        self._image.unlink()

    def free(self) -> int:
        """Return how many bytes are left."""
        return shutil.disk_usage(self.folder).free

    def fill(self) -> None:
        """Take all that is left. Whoever writes meanwhile leaves some over: again, until nothing is."""
        for number in range(5):
            with suppress(subprocess.CalledProcessError):  # it says that there was not enough, and took what there was
                _run("fallocate", "-l", str(self.free() + MORE_BYTES), f"{self._ballast}-{number}")
            if self.free() < MORE_BYTES:
                return

    def make_room(self) -> None:
        """Give it back."""
        for ballast in self.folder.glob(f"{self._ballast.name}-*"):
            ballast.unlink()


def _run(*command: str) -> None:
    path = f"{os.environ.get('PATH', '')}:{SBIN}"
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PATH": path})
