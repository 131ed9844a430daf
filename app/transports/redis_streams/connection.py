"""How this application connects to a Redis server: address, security, time-outs; and its errors become ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from redis import exceptions as redis_errors
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.engine.errors import EngineError, Inconsistent, Refused, Unavailable
from app.settings import Settings

Client = Any
"""A `redis.asyncio.Redis`: the types it ships are those of its synchronous twin as well, and fit neither."""

DEFAULT_PORT = 6379
CONNECT_SECONDS = 5.0
ANSWER_SHARE = 1 / 3
"""How much of the broker time-out one answer may take, before what was asked counts as unknown."""

_NOT_THERE = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.ReadOnlyError,
    redis_errors.ClusterDownError,
    redis_errors.MovedError,
    redis_errors.AskError,
    TimeoutError,
    OSError,
)
_REFUSED = (
    redis_errors.AuthenticationError,
    redis_errors.AuthenticationWrongNumberOfArgsError,
    redis_errors.NoPermissionError,
    redis_errors.AuthorizationError,
)
_REFUSED_TEXTS = ("NOAUTH", "NOPERM", "WRONGPASS", "ACL failure", "can't access", "invalid DB index", "out of range")
_FULL_TEXTS = ("MISCONF", "OOM ", "MASTERDOWN", "READONLY", "BUSY ", "LOADING", "NOREPLICAS", "CLUSTERDOWN")


class RedisServer:
    """Where our keys are. Nothing is connected here. `name` is what it is called in messages: never with a password."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self.settings = settings

    async def ensure(self) -> None:
        """Make sure that there is a server, as far as that is ours to do; raises the engine's errors."""

    def client(self) -> Client:
        """Return a client with one connection of its own, which is opened by its first command.

        It never repeats a command: only we know which may be.
        """
        return Redis(
            **self.address(),
            single_connection_client=True,
            client_name=f"orderflow-{self.settings.app_id}",
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=self.settings.broker_timeout * ANSWER_SHARE,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_read_size=1 << 20,
        )

    def address(self) -> dict[str, Any]:
        """Return the client's options that say where the server is, and who we are."""
        raise NotImplementedError

    def moved(self, host: str, port: int) -> None:
        """Go to this node of a cluster from now on."""
        raise NotImplementedError


class RemoteServer(RedisServer):
    """The server that a `redis://` or `rediss://` address names."""

    def __init__(self, settings: Settings) -> None:
        url = urlsplit(settings.broker)
        try:
            self._port, self._db = url.port or DEFAULT_PORT, int(url.path.strip("/") or 0)
        except ValueError as error:
            raise Inconsistent(f"ORDERS_BROKER has no valid port or database number ({error})") from error
        if not url.hostname or url.query:
            wrong = f"has options that are not known: ?{url.query}" if url.query else "names no server"
            raise Inconsistent(f"ORDERS_BROKER {wrong}; write redis://host:port/0 (rediss:// with TLS)")
        super().__init__(settings, f"{url.hostname}:{self._port}" + (f"/{self._db}" if self._db else ""))
        password = settings.redis_password.get_secret_value() if settings.redis_password else None
        self._host = url.hostname
        self._tls = url.scheme == "rediss"
        self._username = unquote(url.username) if url.username else settings.redis_username
        self._password = unquote(url.password) if url.password else password

    def address(self) -> dict[str, Any]:
        """Return host, port, database, login and TLS files."""
        options: dict[str, Any] = {
            "host": self._host,
            "port": self._port,
            "db": self._db,
            "username": self._username,
            "password": self._password,
        }
        if self._tls:
            files = {
                "ssl_ca_certs": self.settings.redis_ca_file,
                "ssl_certfile": self.settings.redis_cert_file,
                "ssl_keyfile": self.settings.redis_key_file,
            }
            options |= {"ssl": True} | {name: str(path) for name, path in files.items() if path is not None}
        return options

    def moved(self, host: str, port: int) -> None:
        """Go to this node of a cluster from now on."""
        self._host, self._port = host or self._host, port


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what the client raises into the engine's errors; `doing` says what was being done, to what."""
    try:
        yield
    except EngineError:
        raise
    except _REFUSED as error:
        raise _refused(doing, error) from error
    except _NOT_THERE as error:
        raise Unavailable(f"Redis did not answer while {doing}: {describe(error)}") from error
    except redis_errors.RedisError as error:
        text = str(error)
        if any(part in text for part in _REFUSED_TEXTS):
            raise _refused(doing, error) from error
        if any(part in text for part in _FULL_TEXTS):
            raise Unavailable(f"Redis takes no writes now, while {doing}: {describe(error)}") from error
        raise EngineError(f"Redis failed while {doing}: {describe(error)}") from error


def _refused(doing: str, error: Exception) -> Refused:
    return Refused(
        f"Redis refuses {doing}: {describe(error)}; check user, password and rights "
        "(ORDERS_BROKER, ORDERS_REDIS_USERNAME, ORDERS_REDIS_PASSWORD)"
    )


def describe(error: BaseException) -> str:
    """Return an error as one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.removesuffix(".")
