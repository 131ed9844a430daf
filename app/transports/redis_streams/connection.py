"""How this application connects to a Redis server: address, login, TLS, time-outs."""

import ssl
from typing import Any
from urllib.parse import unquote, urlsplit

from redis import exceptions as redis_errors
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.engine.errors import Refused, Unavailable, Unusable
from app.settings import Settings
from app.transports.redis_streams.cluster import Node, nodes_by_slot
from app.transports.redis_streams.failures import describe, translated

Client = Any
"""A `redis.asyncio.Redis`: the types it ships are those of its synchronous twin as well, and fit neither."""

DEFAULT_PORT = 6379
CONNECT_SECONDS = 5.0
ANSWER_SHARE = 1 / 3
"""How much of the broker time-out one answer may take, before what was asked counts as unknown."""

WRITE_THIS = "write redis://[user:password@]host[:port][/database] (rediss:// with TLS)"


class RedisServer:
    """Where our keys are. Nothing is connected here. `name` is what it is called in messages: never with a password.

    `slot` is that of our keys, once it is known that the server is a node of a cluster.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self.settings = settings
        self.slot: int | None = None

    async def ensure(self) -> None:
        """Make sure that there is a server, as far as that is ours to do; raises the engine's errors."""

    @property
    def answer_seconds(self) -> float:
        """How long an answer may take."""
        return self.settings.broker_timeout * ANSWER_SHARE

    def client(self, most_seconds: float = 600.0) -> Client:
        """Return a client with one connection of its own, which is opened by its first command.

        It never repeats a command: only we know which may be. No answer may take longer than `most_seconds`.
        """
        return Redis(
            **self.address(),
            single_connection_client=True,
            client_name=f"orderflow-{self.settings.app_id}",
            driver_info=None,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=min(self.answer_seconds, most_seconds),
            socket_connect_timeout=min(CONNECT_SECONDS, most_seconds),
            socket_read_size=1 << 20,
        )

    def address(self) -> dict[str, Any]:
        """Return the client's options that say where the server is, and who we are."""
        raise NotImplementedError

    def hint(self, error: BaseException | None) -> str:
        """Return what may be behind an error that says little, to be put after it."""
        return ""


class RemoteServer(RedisServer):
    """The server that a `redis://` or `rediss://` address names, or the node of its cluster that holds our keys."""

    def __init__(self, settings: Settings) -> None:
        # What cannot be read is not shown: it may hold a password.
        try:
            url = urlsplit(settings.broker)
            host, port, db = url.hostname, url.port or DEFAULT_PORT, int(url.path.strip("/") or 0)
        except ValueError:
            raise Unusable(
                "ORDERS_BROKER has no valid host, port or database number (a user or password with any of /?#[]@:% "
                f"must be percent-encoded); {WRITE_THIS}"
            ) from None
        if not host or url.query or url.fragment or db < 0:
            raise Unusable(f"ORDERS_BROKER names no server, or has options after it, which are not known; {WRITE_THIS}")
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        super().__init__(settings, shown + (f"/{db}" if db else ""))
        password = settings.redis_password.get_secret_value() if settings.redis_password else None
        self._node, self._db = Node(host, port), db
        self._known: tuple[Node, ...] = (self._node,)
        self._username = unquote(url.username) if url.username else settings.redis_username
        self._password = unquote(url.password) if url.password else password
        self._tls = _tls_options(settings) if url.scheme == "rediss" else {}

    def address(self) -> dict[str, Any]:
        """Return host, port, database, login and TLS files."""
        login = {"username": self._username, "password": self._password}
        return {"host": self._node.host, "port": self._node.port, "db": self._db, **login, **self._tls}

    def hint(self, error: BaseException | None) -> str:
        """Ask about TLS: a server that hears what it does not speak hangs up, or waits for more."""
        if self._tls and isinstance(error, redis_errors.TimeoutError):
            return "; does it speak TLS? If not, write redis://"
        if not self._tls and isinstance(error, redis_errors.ConnectionError) and "connecting" not in str(error):
            return "; is this its TLS port? Then write rediss://"
        return ""

    async def ensure(self) -> None:
        """In a cluster, go to the node that holds our slot now; any node that answers is asked."""
        if self.slot is None:
            return
        failure = Unavailable(f"no node of the cluster of {self.name} holds slot {self.slot}")
        for node in (self._node, *self._known):
            self._node = node
            client = self.client(CONNECT_SECONDS)
            try:
                with translated(f"asking {node.host}:{node.port} for the nodes of its cluster"):
                    holders = nodes_by_slot(await client.execute_command("CLUSTER SLOTS"), node)
            except Unavailable as error:
                failure = error
                continue
            finally:
                await client.aclose()
            holder = next((found for slots, found in holders if self.slot in slots), None)
            if holder is not None:
                self._node, self._known = holder, tuple(dict.fromkeys((*(found for _, found in holders), *self._known)))
                return
        raise failure


def _tls_options(settings: Settings) -> dict[str, Any]:
    """Return the client's options for TLS; raises `Refused` where the files cannot be used."""
    files = {"ca": settings.redis_ca_file, "cert": settings.redis_cert_file, "key": settings.redis_key_file}
    paths = {name: None if path is None else str(path) for name, path in files.items()}
    try:
        context = ssl.create_default_context(cafile=paths["ca"])
        if paths["cert"]:
            context.load_cert_chain(paths["cert"], paths["key"])
    except (OSError, ssl.SSLError) as error:
        given = ", ".join(f"ORDERS_REDIS_{name.upper()}_FILE={path}" for name, path in paths.items() if path)
        raise Refused(f"the TLS files cannot be used ({describe(error)}): {given}") from error
    return {
        "ssl": True,
        "ssl_check_hostname": True,
        "ssl_ca_certs": paths["ca"],
        "ssl_certfile": paths["cert"],
        "ssl_keyfile": paths["key"],
    }
