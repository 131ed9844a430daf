"""The virtual environment of the peers (.venv-peers): made on first use, and again when its lock changes.

`python -m benchmarks.peers.environment --lock` writes the lock again.
"""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-peers"
HERE = Path(__file__).parent
LOCK, WANTED = HERE / "requirements.lock", HERE / "requirements.in"


def peers_python() -> str:
    """Return the path of its Python."""
    return str(FOLDER / "bin" / "python")


@cache
def ensure_peers() -> None:
    """Make the environment unless it is there and up to date."""
    ready = FOLDER / "lock"
    if ready.exists() and ready.read_bytes() == LOCK.read_bytes():
        return
    print("installing the peers into .venv-peers (once; about half a minute)", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True)
    (FOLDER / ".gitignore").write_text("*\n")
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)]
    subprocess.run([peers_python(), *install], check=True)
    shutil.copyfile(LOCK, ready)


@cache
def peer_version(package: str) -> str:
    """Return the version of one of its packages."""
    code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    return subprocess.run(
        [peers_python(), "-c", code, package], check=True, capture_output=True, text=True
    ).stdout.strip()


def lock() -> None:
    """Write the lock: hashes, but no addresses."""
    uv = str(Path(sys.executable).with_name("uv"))
    how = ["--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"]
    told = ["--no-emit-find-links", "--custom-compile-command", "python -m benchmarks.peers.environment --lock"]
    subprocess.run([uv, "pip", "compile", *how, *told, "--output-file", LOCK, WANTED], check=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--lock"]:
        lock()
    else:
        ensure_peers()
