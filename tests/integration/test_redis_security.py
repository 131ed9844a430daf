"""Passwords, rights and TLS as servers ask for them: the right ones get in, the wrong ones are told in one line."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from pydantic import SecretStr

from app.engine.errors import EngineError, Refused, Unavailable, Unusable
from app.engine.step import Output
from app.settings import Settings
from app.transports import transport_for
from app.transports.redis_streams import provision
from app.transports.redis_streams.connection import RemoteServer
from tests.contract.space import Space, numbered, read_records, table
from tests.integration.redis_kit import MAKES, RIGHTS, RedisNode, rule, seconds_since, worker_settings
from tests.integration.worker_process import WorkerProcess
from tools.kafka_security import Certificates

PASSWORD = "secret:/?#[]@%+ é"
AT_ONCE_SECONDS = 2.0


async def one_step(node: RedisNode, **more: Any) -> Space:
    """Do everything an application does: look at the server, send, join, claim, read, commit, read the state."""
    space = Space(node, **more)
    await space.prepare()
    assert await space.transport.is_unused(space.settings)
    await space.send(*numbered(3))
    membership = space.transport.open_membership(space.settings, "http://x", _nothing, _nothing)
    await membership.start()
    async with space.holding() as lease:
        await read_records(lease, 3)
        await lease.commit(3, table(a=b"1"), [])
    await membership.stop()
    assert await space.snapshot() == {("t", "a"): b"1"}
    return space


async def _nothing(*_: object) -> None:
    pass


async def refused(node: RedisNode, *told: str, error: type[EngineError] = Refused, **more: Any) -> None:
    """Check that the way in is refused at once, in one line that tells all of these; nothing is written."""
    begin = time.monotonic()
    with pytest.raises(error) as caught:
        await Space(node, **more).prepare()
    assert seconds_since(begin) < AT_ONCE_SECONDS
    text = str(caught.value)
    assert not [part for part in told if part not in text], text
    assert "secret" not in text
    assert "\n" not in text
    assert node.command("DBSIZE") == 0


@pytest.fixture(scope="module", params=MAKES)
def locked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisNode]:
    """A server of each make with a password of difficult characters."""
    with RedisNode(tmp_path_factory.mktemp("locked"), request.param, databases=4) as node:
        with node.client() as client:
            client.config_set("requirepass", PASSWORD)
        node.password = PASSWORD
        yield node


@pytest.fixture(autouse=True)
def emptied(request: pytest.FixtureRequest) -> None:
    """Each test begins with nothing on the server."""
    if "locked" in request.fixturenames:
        request.getfixturevalue("locked").command("FLUSHALL")


def address(node: RedisNode, login: str = "", path: str = "") -> str:
    """Return a URL with this login."""
    return f"redis://{login}127.0.0.1:{node.port}{path}"


# --- login ------------------------------------------------------------------------------------------------------------


async def test_a_password_gets_in(locked: RedisNode) -> None:
    """In the address, percent-encoded, with or without the default user's name, or in the settings."""
    await one_step(locked, broker=address(locked, f":{quote(PASSWORD, safe='')}@"))
    await one_step(locked, broker=address(locked, f"default:{quote(PASSWORD, safe='')}@"))
    await one_step(locked, broker=address(locked), redis_password=PASSWORD)
    await one_step(locked, broker=address(locked, "default@"), redis_password=PASSWORD)
    await one_step(locked, broker=address(locked), redis_username="default", redis_password=PASSWORD)


async def test_the_login_in_the_address_comes_first(locked: RedisNode) -> None:
    """Where both are given."""
    login = f"default:{quote(PASSWORD, safe='')}@"
    await one_step(locked, broker=address(locked, login), redis_username="other", redis_password="other")


@pytest.mark.parametrize("login", ["", ":secret-wrong@", "default:secret-wrong@", "nobody:secret@"])
async def test_a_wrong_login_is_refused_at_once(locked: RedisNode, login: str) -> None:
    """None, a wrong password, an unknown user: the line names the settings to look at."""
    await refused(locked, "password", "ORDERS_REDIS_PASSWORD", "ORDERS_BROKER", broker=address(locked, login))


async def test_a_password_that_the_server_does_not_ask_for_is_refused(tmp_path: Path) -> None:
    """It may be the wrong server."""
    with RedisNode(tmp_path) as node:
        await refused(node, "ORDERS_REDIS_PASSWORD", broker=address(node, ":secret@"))


async def test_another_database_is_another_world(locked: RedisNode) -> None:
    """Its number is in the address."""
    await one_step(locked, broker=address(locked, path="/3"), redis_password=PASSWORD)
    with locked.client() as client:
        assert set(client.info("keyspace")) == {"db3"}


async def test_an_unknown_database_is_refused(locked: RedisNode) -> None:
    """The server has four."""
    await refused(
        locked, "database number", "ORDERS_BROKER", broker=address(locked, path="/4"), redis_password=PASSWORD
    )


def test_a_worker_that_is_refused_says_so_in_one_line_without_the_password(locked: RedisNode) -> None:
    """Exit code 7, whatever the log level."""
    settings = worker_settings(locked.settings(broker=address(locked)), redis_password="secret-wrong")
    with WorkerProcess(log_level="debug", **settings) as worker:
        assert worker.ends(within=15) == Refused.exit_code
        assert len(worker.errors) == 1
        assert "secret" not in worker.output
        assert "Traceback" not in worker.output
    assert locked.command("DBSIZE") == 0


@pytest.mark.parametrize("in_address", [False, True])
def test_a_worker_that_gets_in_prints_no_password(locked: RedisNode, in_address: bool) -> None:
    """Not even at the log level debug, nor in its status."""
    login = f"default:{quote(PASSWORD, safe='')}@" if in_address else ""
    settings = locked.settings(broker=address(locked, login))
    more = {} if in_address else {"redis_password": PASSWORD}
    with WorkerProcess(app="app", log_level="debug", **worker_settings(settings, **more)) as worker:
        worker.wait_until_owning(1)
        with urlopen(f"http://127.0.0.1:{worker.web_port}/api/status", timeout=10) as answer:
            assert b"secret" not in answer.read()
        assert "DEBUG" in worker.output
        assert "secret" not in worker.output
    assert settings.broker_shown == f"redis://127.0.0.1:{locked.port}"


# --- rights -----------------------------------------------------------------------------------------------------------


def grant(node: RedisNode, *rules: str) -> str:
    """Make a user with these rights and no others; returns the address to come in as."""
    node.command("ACL", "SETUSER", "app", "reset", "on", ">secret", *rules)
    return address(node, "app:secret@")


async def test_the_rights_that_are_said_to_be_needed_are_enough(locked: RedisNode) -> None:
    """The commands and keys that the operating guide lists; the server noted no attempt to do more."""
    locked.command("ACL", "LOG", "RESET")
    await one_step(locked, broker=grant(locked, *rule()))
    assert locked.command("ACL", "LOG") == []


@pytest.mark.parametrize("right", RIGHTS)
async def test_each_right_is_needed_and_missed_at_start(locked: RedisNode, right: str) -> None:
    """The line names it."""
    await refused(locked, right, "ACL", broker=grant(locked, *rule(without=right)))


async def test_rights_to_other_keys_are_not_enough(locked: RedisNode) -> None:
    """The line says which ones are needed."""
    await refused(locked, "rights", broker=grant(locked, *rule(keys="other*")))


@pytest.mark.parametrize("right", ["hset", "xadd", "xtrim", "hgetall", "hlen", "xrange", "type"])
async def test_a_right_withdrawn_while_running_is_refused_and_leaves_no_half_step(
    locked: RedisNode, right: str
) -> None:
    """A script that is stopped in the middle is not undone by the server."""
    space = Space(locked, broker=grant(locked, *rule()), redis_retain=0)
    await space.prepare()
    await space.send(*numbered(3))
    async with space.holding() as lease:
        await lease.commit(1, table(a=b"1"), [_output(space)])
        before = locked.dump()
        locked.command("ACL", "SETUSER", "app", f"-{right}")
        with pytest.raises(Refused):
            await lease.commit(2, table(a=b"2", b=b"2"), [_output(space)])
        assert locked.dump() == before


def _output(space: Space) -> Output:
    return Output(space.topics.order_updates, 0, b"k", b"v")


# --- TLS --------------------------------------------------------------------------------------------------------------


class Tls(NamedTuple):
    """A server with a plain port, and a TLS port that may ask for certificates."""

    node: RedisNode
    port: int
    certificates: Certificates

    def settings(self, host: str = "127.0.0.1", **more: Any) -> dict[str, Any]:
        """Return the settings that get in."""
        made = {"broker": f"rediss://{host}:{self.port}", "redis_ca_file": self.certificates.authority}
        return made | more


@pytest.fixture(scope="module", params=["yes", "no"])
def tls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    """A server that asks for a client's certificate, and one that does not."""
    made = Certificates.make(tmp_path_factory.mktemp("certificates"))
    files = {"tls_cert_file": made.server, "tls_key_file": made.server, "tls_ca_cert_file": made.authority}
    node = RedisNode(tmp_path_factory.mktemp("tls"), "redis-7", tls_auth_clients=request.param, **files)
    node.options["tls-port"] = port = node.port + 1
    with node:
        yield Tls(node, port, made)


def own(tls: Tls) -> dict[str, Any]:
    """Return the settings of the client's certificate."""
    return {"redis_cert_file": tls.certificates.client, "redis_key_file": tls.certificates.client_key}


async def test_tls_gets_in(tls: Tls) -> None:
    """By address or name, as the certificate has it."""
    await one_step(tls.node, **tls.settings(**own(tls)))
    await one_step(tls.node, **tls.settings("localhost", **own(tls)))
    tls.node.command("FLUSHALL")


async def test_an_unknown_authority_is_refused(tls: Tls, tmp_path: Path) -> None:
    """Another one, or none but those of the system."""
    other = Certificates.make(tmp_path / "other").authority
    await refused(tls.node, "not trusted", "ORDERS_REDIS_CA_FILE", **tls.settings(**own(tls), redis_ca_file=other))
    await refused(tls.node, "not trusted", "ORDERS_REDIS_CA_FILE", **tls.settings(**own(tls), redis_ca_file=None))


async def test_a_certificate_for_another_name_is_refused(tls: Tls) -> None:
    """Or anybody with any certificate of that authority could answer."""
    await refused(tls.node, "127.1", "host", "ORDERS_BROKER", **tls.settings("127.1", **own(tls)))


async def test_a_missing_client_certificate_is_refused(tls: Tls) -> None:
    """Where the server asks for one, the line names the settings."""
    if tls.node.options["tls-auth-clients"] == "no":
        await one_step(tls.node, **tls.settings())
        tls.node.command("FLUSHALL")
        return
    await refused(tls.node, "ORDERS_REDIS_CERT_FILE", **tls.settings())


@pytest.mark.parametrize(("ours", "theirs", "told"), [("rediss", "plain", "redis://"), ("redis", "TLS", "rediss://")])
async def test_tls_at_one_end_only_is_told(
    tls: Tls, monkeypatch: pytest.MonkeyPatch, ours: str, theirs: str, told: str
) -> None:
    """The server hangs up or waits for more, as one does that is restarted; so it is tried until the time is up."""
    monkeypatch.setattr(provision, "START_SECONDS", 0.5)
    port = tls.port if theirs == "TLS" else tls.node.port
    with pytest.raises(Unavailable, match=rf"ORDERS_BROKER.*{told}"):
        await Space(tls.node, **tls.settings() | {"broker": f"{ours}://127.0.0.1:{port}"}).prepare()


@pytest.mark.parametrize("name", ["redis_ca_file", "redis_cert_file", "redis_key_file"])
@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
async def test_a_file_that_cannot_be_used_is_named(tls: Tls, tmp_path: Path, name: str, content: bytes | None) -> None:
    """Missing, empty or something else."""
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_bytes(content)
    settings = tls.settings(**own(tls)) | {name: file}
    await refused(tls.node, f"ORDERS_{name.upper()}={file}", **settings)


# --- the address ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broker",
    [
        "redis://",
        "redis://:6379",
        "redis://host:port",
        "redis://host:66000",
        "redis://host/name",
        "redis://host/1/2",
        "redis://host/-1",
        "redis://host?ssl=true",
        "redis://host/0?password=secret",
        "redis://user:secret@host:1#x",
        "redis://:sec#ret-secret@host:6379",
        "redis://:sec/ret-secret@host:6379",
        "redis://:secret@:6379",
        "rediss://[::1:6379",
    ],
)
def test_an_address_that_makes_no_sense_is_named(broker: str) -> None:
    """Without what it says, as that may hold a password."""
    with pytest.raises(Unusable, match=r"ORDERS_BROKER.*redis://") as caught:
        RemoteServer(Settings(broker=broker))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("broker", "name"),
    [
        ("redis://host", "host:6379"),
        ("redis://host:1/", "host:1"),
        ("redis://user:secret@host:1/2", "host:1/2"),
        ("redis://[::1]:1", "[::1]:1"),
        ("redis://[::1]", "[::1]:6379"),
    ],
)
def test_messages_name_the_server_without_the_login(broker: str, name: str) -> None:
    """As it is written in an address."""
    assert RemoteServer(Settings(broker=broker)).name == name


async def test_an_ipv6_address_is_reached(tmp_path: Path) -> None:
    """In brackets, as URLs have it."""
    node = RedisNode(tmp_path)
    node.options["bind"] = "127.0.0.1 ::1"
    with node:
        await one_step(node, broker=f"redis://[::1]:{node.port}/0")


def test_the_transport_never_shows_a_password(caplog: pytest.LogCaptureFixture) -> None:
    """Settings are logged by some; the password is not among what they show."""
    settings = Settings(broker="redis://host", redis_password=SecretStr("secret"))
    logging.getLogger(__name__).warning("%r %s", settings, transport_for(settings.broker).server(settings).name)
    assert "secret" not in caplog.text
