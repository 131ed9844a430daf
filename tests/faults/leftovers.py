"""Finds processes that a run left behind: by their folder, command line or environment."""

import os
from contextlib import suppress
from pathlib import Path


def processes_of(folder: Path) -> list[str]:
    """Return pid and command of every process, except this one, that works in `folder` or was told of it."""
    mark = os.fsencode(folder.resolve())
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            at = os.fsencode((process / "cwd").readlink())
            if mark in command or at.startswith(mark) or mark in (process / "environ").read_bytes():
                found.append(f"{process.name}: {command.replace(bytes(1), b' ').decode(errors='replace')[:200]}")
    return found
