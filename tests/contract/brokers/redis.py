"""Redis, looked into by the plain `redis` client: a server from PATH, and what all of its kind have in common."""

import asyncio
import shutil
import subprocess
import threading
import time
import zlib
from abc import abstractmethod
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgpack
import redis

from app.engine.errors import EngineError, Unavailable
from app.settings import Settings
from app.transports import transport_for
from tests.contract.brokers.server import Read, Sent, Server
from tests.waiting import wait_until
from tools.errors import MissingProgramError
from tools.local_kafka import free_port

PROGRAMS = ("redis-server", "valkey-server")
START_SECONDS = 20
OPEN_SECONDS = 90
RETRY_SECONDS = 0.05
AT_ONCE = 500

AWAY = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, redis.exceptions.BusyLoadingError)

# Appends one packed record; `number` rises with each of a writer, so that to try again does no harm.
APPEND = """
local number = tonumber(ARGV[1])
if number <= tonumber(redis.call('GET', KEYS[3]) or '0') then return 0 end
redis.call('SET', KEYS[3], number)
redis.call('XADD', KEYS[1], '0-' .. redis.call('HINCRBY', KEYS[2], 'end', 1), 'n', 1, 'r', ARGV[2])
return 1
"""


def tag(settings: Settings) -> str:
    """Return what every key of an application begins with."""
    return f"{{orderflow/{settings.topic_prefix}}}" if settings.topic_prefix else "{orderflow}"


class StreamServer(Server):
    """A server that understands Redis' commands."""

    session_timeout: ClassVar[float] = 1.5
    keeping: ClassVar[dict[str, Any]] = {"redis_retain": 1_000_000_000}

    @abstractmethod
    def client(self) -> Any:
        """Return a client, to be closed."""

    def log(self, settings: Settings, topic: str) -> "StreamLog":
        """Read streams."""
        return StreamLog(self.client(), f"{tag(settings)}:topic:{topic}", topic, settings.partitions)

    def view(self, settings: Settings) -> "StreamView":
        """Read the hashes of the state, and the offsets."""
        return StreamView(self.client(), settings)

    def feed(self, settings: Settings) -> "StreamFeed":
        """Send as `emit` does; what that cannot send is written past it."""
        return StreamFeed(self.client(), settings)


DURABLE = {"appendonly": "yes", "appendfsync": "always"}
"""Options with which a killed server has all that it acknowledged. With "everysec" it keeps writes in its own memory
for up to two seconds while the disk is slow to sync (docs/operating.md)."""


class RedisServer(StreamServer):
    """A server from PATH on a free port of this machine."""

    name: ClassVar[str] = "redis"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server."""
        program = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
        if program is None:
            raise MissingProgramError(f"there is no {' or '.join(PROGRAMS)} in PATH; install Redis 7 or Valkey 8")
        self.folder.mkdir(parents=True, exist_ok=True)
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "save": "", **DURABLE}
        command = [program, *(str(part) for name, value in options.items() for part in (f"--{name}", value))]
        with (self.folder / "server.log").open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        wait_until(self._answers, START_SECONDS, f"{program} to answer", lambda: f"see {output.name}")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the server ended: see {self.folder}"
        with self.client() as client:
            try:
                return bool(client.ping())
            except AWAY:
                return False

    def stop(self) -> None:
        """Stop the server."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def kill(self) -> None:
        """Kill the server."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def address(self) -> dict[str, Any]:
        """Return its address."""
        return {"broker": f"redis://127.0.0.1:{self.port}/0"}

    def client(self) -> Any:
        """Connect by TCP."""
        return redis.Redis(port=self.port)


class StreamView:
    """See `StateView`."""

    def __init__(self, client: Any, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def offset(self, partition: int) -> int | None:
        """Return the group's offset."""
        offsets = f"{tag(self._settings)}:topic:{self._settings.topic_prefix}orders:{partition}:offsets"
        found = self._client.hget(offsets, f"group:{self._settings.app_id}")
        return None if found is None else int(found)

    def rows(self, partition: int) -> dict[tuple[str, str], bytes]:
        """Return all fields."""
        rows = {}
        found = self._client.hgetall(f"{tag(self._settings)}:state:{self._settings.app_id}:{partition}")
        for field, row in found.items():
            table, _, key = field.decode().partition("/")
            rows[table, key] = row
        return rows

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


class StreamLog:
    """See `TopicLog`."""

    def __init__(self, client: Any, stem: str, topic: str, partitions: int | Sequence[int]) -> None:
        self.topic = topic
        self.records: list[Read] = []
        self._client = client
        self._stem = stem
        self._reached = dict.fromkeys(range(partitions) if isinstance(partitions, int) else partitions, 0)

    def catch_up(self, seconds: float = 60) -> Sequence[Read]:
        """Read on, and return all records from the beginning."""
        self.records.extend(self.read_on(seconds))
        return self.records

    def only(self, partition: int) -> "StreamLog":
        """Return the same topic from its beginning, but of one partition."""
        pool = self._client.connection_pool
        return StreamLog(redis.Redis(connection_pool=pool), self._stem, self.topic, [partition])

    def read_on(self, seconds: float = 60) -> Iterator[Read]:
        """Yield what was not read yet, to where the topic ends now."""
        for partition in self._reached:
            end = int(self._client.hget(f"{self._stem}:{partition}:offsets", "end") or 0)
            while self._reached[partition] < end:
                yield from self._read(partition)

    def _read(self, partition: int) -> Iterator[Read]:
        entries = self._client.xrange(f"{self._stem}:{partition}", f"(0-{self._reached[partition]}", "+", AT_ONCE)
        assert entries, f"{self.topic}[{partition}] has nothing behind {self._reached[partition]}, which is not its end"
        for entry_id, fields in entries:
            begin, end = entry_id.decode().split("-")
            assert begin == "0"
            columns = msgpack.unpackb(fields[b"r"], raw=True)
            count, first = int(fields[b"n"]), int(end) - int(fields[b"n"])
            assert [len(column) for column in columns] == [count] * 4
            assert first == self._reached[partition], f"{self.topic}[{partition}]: {first} follows {self._reached}"
            for offset, (timestamp, key, value, headers) in enumerate(zip(*columns, strict=True), first):
                pairs = tuple((name.decode(), content) for name, content in headers or ())
                yield Read(partition, offset, key, value, pairs, 1, timestamp)
            self._reached[partition] = int(end)

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


class StreamFeed:
    """See `Feed`."""

    def __init__(self, client: Any, settings: Settings) -> None:
        self.failures: list[str] = []
        self._client = client
        self._settings = settings
        self._written = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="feed", daemon=True)
        self._thread.start()
        self._sender = self._open()

    @property
    def delivered(self) -> int:
        """How many records are acknowledged by now."""
        return int(self._sender.acknowledged) + self._written

    def send(self, records: Sequence[tuple[Sent, bool]]) -> None:
        """Send records."""
        usual = [(key, value) for (key, value, headers), misplaced in records if not misplaced and not headers]
        self._run(self._send(usual))
        for (key, value, headers), misplaced in records:
            if misplaced or headers:
                self._append(zlib.crc32(key or b"") % self._settings.partitions, key, value, headers)

    async def _send(self, records: Sequence[tuple[bytes | None, bytes | None]]) -> None:
        for key, value in records:
            await self._sender.send(f"{self._settings.topic_prefix}orders", key, value)

    def _append(self, partition: int, key: bytes | None, value: bytes | None, headers: Sequence[Any]) -> None:
        stem = f"{tag(self._settings)}:topic:{self._settings.topic_prefix}orders:{partition}"
        packed = msgpack.packb([[int(time.time() * 1000)], [key], [value], [list(headers)]], use_bin_type=False)
        self._written += 1
        deadline = time.monotonic() + OPEN_SECONDS
        while True:
            try:
                self._client.eval(APPEND, 3, stem, f"{stem}:offsets", f"{stem}:shop", self._written, packed)
            except (*AWAY, redis.exceptions.ResponseError) as error:
                full = str(error).startswith("MISCONF")  # its disk is
                if time.monotonic() > deadline or not (full or isinstance(error, AWAY)):
                    self.failures.append(str(error))
                    return
                time.sleep(RETRY_SECONDS)
            else:
                return

    def _open(self) -> Any:
        """Open a sender, however long a server may take to load what it has: a shop would come back too."""
        deadline = time.monotonic() + OPEN_SECONDS
        while True:
            self._entered = transport_for(self._settings.broker).open_sender(self._settings)
            try:
                return asyncio.run_coroutine_threadsafe(self._entered.__aenter__(), self._loop).result()
            except Unavailable:
                if time.monotonic() > deadline:
                    raise

    def finish(self, seconds: float) -> None:
        """Wait until everything is acknowledged."""
        self._run(asyncio.wait_for(self._sender.flush(), seconds))

    def close(self) -> None:
        """Drop what is under way."""
        self._run(self._entered.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._client.close()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
        except (EngineError, TimeoutError) as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return None
