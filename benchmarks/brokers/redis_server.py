"""A redis-server process of the benchmark's own, by TCP."""

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as NoConnection

from benchmarks.brokers.streams import StreamsBroker
from tools.errors import BrokerError, MissingProgramError
from tools.local_kafka import free_port

START_SECONDS = 30.0
STOP_SECONDS = 60.0
FSYNC = "appendfsync"


class RedisServer(StreamsBroker):
    """A server with an append-only file. `tune({"appendfsync": …})` says when that is synced: once a second, if not."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        program = shutil.which("redis-server")
        if program is None:
            raise MissingProgramError("redis-server is not in PATH: install it (Debian: apt-get install redis-server)")
        self.port = free_port()
        data = folder / "redis"
        data.mkdir()
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(data), "--logfile", "redis.log"]
        # Snapshots besides the file would fork at moments of their own choosing.
        durable = ["--appendonly", "yes", f"--{FSYNC}", "everysec", "--save", ""]
        self._process = subprocess.Popen(
            [program, *options, *durable], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Database 0: the peers use another."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def describe(self) -> str:
        """Redis and its version."""
        with self.client() as client:
            return f"Redis {client.info('server')['redis_version']} by TCP, append-only file"

    def client(self, database: int = 0) -> "Redis":
        """By TCP."""
        return Redis(port=self.port, db=database)

    def tune(self, options: Mapping[str, str]) -> None:
        """Set configuration parameters of the server."""
        with self.client() as client:
            for name, value in {FSYNC: "everysec", **options}.items():
                client.config_set(name, value)

    def close(self) -> None:
        """End the server; nothing of it is kept."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def _wait(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            try:
                with self.client() as client:
                    client.ping()
            except NoConnection:
                time.sleep(0.05)
            else:
                return
        raise BrokerError(f"redis-server does not answer on port {self.port}")
