import errno
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from app.engine.errors import Refused, Unavailable
from app.transports.embedded import EmbeddedServer
from tests.integration.embedded_kit import (
    client,
    keepers,
    processes,
    run_id,
    servers,
    users_of,
    wait_until_ended,
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A user of the server of `tmp_path`, which has ended when the test has."""
    user = EmbeddedServer(tmp_path)
    yield user
    user.close()
    wait_until_ended(tmp_path)


def test_a_server_answers_and_ends_with_its_only_user(tmp_path: Path, server: EmbeddedServer) -> None:
    """Nothing but files is left once the only user has closed."""
    server.ensure()
    assert len(servers(tmp_path)) == len(keepers(tmp_path)) == 1
    server.close()
    wait_until_ended(tmp_path)


@pytest.mark.parametrize("program", ["shipped", "redis-server"])
def test_any_server_keeps_what_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: EmbeddedServer, program: str
) -> None:
    """The next server of the folder has what the one before was given, whichever program it is."""
    if program != "shipped":
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"NOT TESTED with {program}: it is not installed")
        monkeypatch.setattr("app.transports.embedded.server.find_binary", lambda: Path(found))
    server.ensure()
    with client(server.socket) as connected:
        connected.set("kept", "yes")
    server.close()
    later = EmbeddedServer(tmp_path)
    later.ensure()  # at this very moment the former one is being stopped
    with client(later.socket) as connected:
        assert connected.get("kept") == b"yes"
    later.close()


def test_it_is_configured_to_lose_nothing(server: EmbeddedServer) -> None:
    """Every write is synced before it is acknowledged, and nothing is ever evicted."""
    server.ensure()
    expected = {
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "port": "0",
        "aof-use-rdb-preamble": "yes",
    }
    with client(server.socket) as connected:
        assert {name: connected.config_get(name)[name] for name in expected} == expected
    assert server.socket.stat().st_mode & 0o777 == 0o700


def test_users_at_the_same_instant_get_one_server(tmp_path: Path) -> None:
    """Eight processes that begin at once share one server; it ends with the last, however they end."""
    with users_of(tmp_path, 8) as users:
        for user in users:
            user.begin()
        for user in users:
            user.wait_until_ready()
        assert len(servers(tmp_path)) == len(keepers(tmp_path)) == 1
        identity = run_id(tmp_path / "embedded" / "valkey.sock")
        for number, user in enumerate(users[:-1]):
            if number % 2:
                user.kill()
            else:
                user.close()
        assert run_id(tmp_path / "embedded" / "valkey.sock") == identity
        users[-1].kill()
        wait_until_ended(tmp_path)


def test_users_that_come_while_the_last_one_goes_find_a_server(tmp_path: Path) -> None:
    """A server that is ending is never taken for one that runs."""
    for _ in range(15):
        user = EmbeddedServer(tmp_path)
        user.ensure()
        with client(user.socket) as connected:
            assert connected.ping()
            user.close()
    wait_until_ended(tmp_path)


def test_closing_twice_or_unused_is_harmless(tmp_path: Path) -> None:
    """`close` never raises, and ends the use for good."""
    user = EmbeddedServer(tmp_path)
    user.close()
    user.close()
    with pytest.raises(Unavailable, match="was closed by its user"):
        user.ensure()
    assert not processes(tmp_path)


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says that the folder has to be on a local disk."""

    def unsupported(*_: object) -> NoReturn:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(Refused, match=r"has no file locks .* set ORDERS_DATA_DIR to a folder on a local disk"):
        EmbeddedServer(tmp_path).ensure()


def test_an_unknown_sync_policy_is_refused(tmp_path: Path) -> None:
    """The message lists those that there are."""
    with pytest.raises(Refused, match="always, everysec, no"):
        EmbeddedServer(tmp_path, fsync="sometimes").ensure()
