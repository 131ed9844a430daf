import fcntl
import logging
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from app.engine.errors import Refused, Unavailable
from app.transports.embedded import EmbeddedServer, binary
from app.transports.embedded.command import server_command
from app.transports.embedded.ping import PONG, ping
from tests.integration.embedded_kit import client, keepers, kill, run_id, servers, users_of, wait_until_ended
from tests.waiting import wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A running server's user."""
    user = EmbeddedServer(tmp_path)
    user.ensure()
    yield user
    user.close()
    wait_until_ended(tmp_path)


def test_a_killed_server_comes_back_with_all_that_it_acknowledged(tmp_path: Path, server: EmbeddedServer) -> None:
    """The keeper starts it again, without anybody asking."""
    before, (running,), written = run_id(server.socket), servers(tmp_path), 0
    with client(server.socket) as connected, pytest.raises(redis.ConnectionError):  # noqa: PT012 - the loop is the test
        while True:
            connected.rpush("list", written)
            written += 1
            if written == 500:
                os.kill(running, signal.SIGKILL)
    wait_until(lambda: servers(tmp_path) not in ([], [running]), 10, "a new server")
    server.ensure()
    assert run_id(server.socket) != before
    with client(server.socket) as connected:
        assert connected.llen("list") in (written, written + 1)  # the last one was not acknowledged, but may be there


def test_a_killed_keeper_takes_its_server_along(tmp_path: Path, server: EmbeddedServer) -> None:
    """The next `ensure` gives a server with a keeper again, never the one that is about to end, and never two."""
    (keeper,), (former,) = keepers(tmp_path), servers(tmp_path)
    with client(server.socket) as connected:
        connected.set("kept", "yes")
    kill(keeper)
    server.ensure()
    assert servers(tmp_path) != [former]
    assert len(servers(tmp_path)) == len(keepers(tmp_path)) == 1
    with client(server.socket) as connected:
        assert connected.get("kept") == b"yes"


def test_everything_killed_at_once_comes_back(tmp_path: Path, server: EmbeddedServer) -> None:
    """As after a power loss: a socket, a process id and locks of the dead lie about."""
    (keeper,), (running,) = keepers(tmp_path), servers(tmp_path)
    os.kill(running, signal.SIGSTOP)  # so that it does not end in good order with its keeper
    kill(keeper)
    kill(running)
    assert server.socket.exists()
    server.ensure()
    with client(server.socket) as connected:
        assert connected.ping()


def test_a_server_without_a_keeper_is_ended_before_another_starts(tmp_path: Path) -> None:
    """Where no signal tells a server of its keeper's death, the next keeper does, and waits for its end."""
    folder = tmp_path / "embedded"
    folder.mkdir()
    lock = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    command = server_command(binary.find_binary(), "always")
    orphan = subprocess.Popen(command, cwd=folder, pass_fds=[lock])
    os.close(lock)
    wait_until(lambda: ping(folder / "valkey.sock", 1) == PONG, 20, "the server without a keeper")
    orphan.send_signal(signal.SIGSTOP)
    user = EmbeddedServer(tmp_path)
    waiting = threading.Thread(target=user.ensure)
    waiting.start()
    wait_until(lambda: bool(keepers(tmp_path)), 20, "a keeper")
    assert servers(tmp_path) == [orphan.pid]
    orphan.send_signal(signal.SIGCONT)
    assert orphan.wait(20) == 0
    waiting.join(20)
    assert len(servers(tmp_path)) == 1
    user.close()
    wait_until_ended(tmp_path)


def test_what_a_crash_left_is_no_obstacle(tmp_path: Path) -> None:
    """Nobody listens at the old socket, and half of a rewritten file only takes room."""
    (tmp_path / "embedded").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "embedded" / "valkey.sock"))
    half = tmp_path / "embedded" / "temp-rewriteaof-4711.aof"
    half.write_bytes(b"half")
    user = EmbeddedServer(tmp_path)
    user.ensure()
    assert not half.exists()
    user.close()
    wait_until_ended(tmp_path)


def test_a_server_that_keeps_dying_is_given_up(tmp_path: Path, server: EmbeddedServer) -> None:
    """The user is told once; the next attempt starts anew."""
    killed: set[int] = set()

    def given_up() -> bool:
        for pid in set(servers(tmp_path)) - killed:
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)
        return not keepers(tmp_path)

    wait_until(given_up, 30, "the keeper gives up")
    assert len(killed) > 3
    with pytest.raises(Unavailable, match=r"does not run: it was killed by SIGKILL, \d times in a row \(log: "):
        server.ensure()
    server.ensure()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """The log's last warning is the reason that the user gets; nothing is overwritten."""
    damaged = tmp_path / "embedded" / "appendonlydir" / "appendonly.aof.manifest"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("nonsense\n")
    user = EmbeddedServer(tmp_path)
    with pytest.raises(Unavailable, match=r"(?i)does not run: .*manifest.*log: .*server\.log"):
        user.ensure()
    user.close()
    wait_until_ended(tmp_path)
    assert damaged.read_text() == "nonsense\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x7fELF no program", "Exec format error"),
        (b"#!/no/such/shell\n", "No such file"),
        (b"#!/bin/sh\necho no luck\nexit 3\n", "no luck"),
        (b"#!/bin/sh\nexit 3\n", "exit code 3"),
    ],
)
def test_a_program_that_cannot_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    """Whatever the system or the program itself says is passed on."""
    program = tmp_path / "valkey-server"
    program.write_bytes(content)
    program.chmod(0o755)
    monkeypatch.setattr("app.transports.embedded.server.find_binary", lambda: program)
    user = EmbeddedServer(tmp_path)
    with pytest.raises((Refused, Unavailable), match=f"does not run: .*{reason}"):
        user.ensure()
    user.close()
    wait_until_ended(tmp_path)


def test_no_program_at_all_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install, and what to set instead."""
    monkeypatch.setattr(binary, "PACKAGE", "no_such_package")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match=r"install the package .* or set ORDERS_BROKER"):
        EmbeddedServer(tmp_path).ensure()


@pytest.mark.long
def test_ensure_waits_while_the_file_loads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A server that says LOADING is waited for, and that is logged."""
    caplog.set_level(logging.INFO, logger="app.transports.embedded")
    writer = EmbeddedServer(tmp_path, fsync="no")
    writer.ensure()
    with client(writer.socket) as connected:
        script = "for i = 1, 200000 do redis.call('HSET', KEYS[1], ARGV[1] .. i, string.rep('x', 150)) end"
        for number in range(5):
            connected.eval(script, 1, f"hash{number}", str(number))
    writer.close()
    wait_until_ended(tmp_path)
    user = EmbeddedServer(tmp_path)
    user.ensure()
    with client(user.socket) as connected:
        assert [connected.hlen(f"hash{number}") for number in range(5)] == [200_000] * 5
    user.close()
    wait_until_ended(tmp_path)
    assert [record.getMessage() for record in caplog.records if "loads its file" in record.getMessage()]


def test_closing_cuts_a_waiting_ensure_short(tmp_path: Path, server: EmbeddedServer) -> None:
    """A worker that ends does not wait for a server that hangs."""
    with users_of(tmp_path, 1) as (other,):
        other.begin()
        other.wait_until_ready()
        (hanging,) = servers(tmp_path)
        os.kill(hanging, signal.SIGSTOP)
        user = EmbeddedServer(tmp_path)
        raised: list[BaseException] = []

        def ensure() -> None:
            try:
                user.ensure()
            except Unavailable as error:
                raised.append(error)

        waiting = threading.Thread(target=ensure)
        waiting.start()
        user.close()
        waiting.join(10)
        assert "was closed by its user" in str(raised[0])
        os.kill(hanging, signal.SIGCONT)
