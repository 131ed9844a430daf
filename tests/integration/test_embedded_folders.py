import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from app.engine.errors import Refused, Unavailable
from app.transports.embedded import EmbeddedServer
from tests.integration.embedded_kit import client, run_id, servers, wait_until_ended
from tests.waiting import wait_until

Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a small disk in memory, which is gone after the test."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mounted(*options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "orderflow-test", str(folder)]
        if os.getuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("NOT TESTED on a disk of its own: only root may mount one")
        return folder

    yield mounted
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S607 - wherever the system has it


def test_a_folder_that_cannot_be_written_is_refused(mount: Mount) -> None:
    """The message names the folder and the setting."""
    folder = mount("size=1m", "ro")
    with pytest.raises(Refused, match=rf"{folder}.* cannot be used \(Read-only file system\).*ORDERS_DATA_DIR"):
        EmbeddedServer(folder / "data").ensure()


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "data").write_text("")
    with pytest.raises(Refused, match="data/embedded cannot be used"):
        EmbeddedServer(tmp_path / "data").ensure()


def test_a_full_disk_is_told_before_anything_starts(mount: Mount) -> None:
    """With next to no room a server would only die of the first steps."""
    folder = mount("size=8m")
    user = EmbeddedServer(folder)
    with pytest.raises(Unavailable, match=r"only 8\.0 MB are left on the disk of .*: make room"):
        user.ensure()
    user.close()


def test_a_disk_that_fills_up_is_told_and_nothing_acknowledged_is_lost(mount: Mount) -> None:
    """The server ends when it cannot write; once there is room it has all that it acknowledged."""
    folder = mount("size=48m")
    (folder / "other").write_bytes(bytes(20_000_000))
    user = EmbeddedServer(folder)
    user.ensure()
    written = 0
    with client(user.socket) as connected, pytest.raises(redis.ConnectionError):  # noqa: PT012 - the loop is the test
        while True:
            connected.rpush("list", bytes(500_000))
            written += 1
    assert written > 10
    with pytest.raises(Unavailable, match=r"MB are left on the disk of .*: make room|No space left on device"):
        user.ensure()
    (folder / "other").unlink()
    user.ensure()
    with client(user.socket) as connected:
        assert connected.llen("list") == written
    user.close()
    wait_until_ended(folder)


def test_a_long_path_is_reached_by_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket's path fits although the folder's does not; two users of the folder take the same."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / ("x" * 120)
    first, second = EmbeddedServer(folder), EmbeddedServer(folder)
    first.ensure()
    second.ensure()
    assert len(os.fsencode(first.socket)) < 104
    assert first.socket == second.socket
    assert run_id(first.socket) == run_id(second.socket)
    first.close()
    second.close()
    wait_until_ended(folder)


def test_a_short_path_that_others_could_use_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary folder is everybody's, so ours in it has to be ours alone."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # pytest's own may be too long by itself
        monkeypatch.setattr(tempfile, "tempdir", short)
        links = Path(short) / f"orderflow-{os.getuid()}"
        links.mkdir()
        links.chmod(0o777)
        with pytest.raises(Refused, match="is not a folder that this user alone can open"):
            EmbeddedServer(tmp_path / ("x" * 120)).ensure()


def test_a_folder_moved_while_unused_keeps_its_data(tmp_path: Path) -> None:
    """Nothing in it knows where it was."""
    user = EmbeddedServer(tmp_path / "old")
    user.ensure()
    with client(user.socket) as connected:
        connected.set("kept", "yes")
    user.close()
    wait_until_ended(tmp_path / "old")
    shutil.move(tmp_path / "old", tmp_path / "new")
    later = EmbeddedServer(tmp_path / "new")
    later.ensure()
    with client(later.socket) as connected:
        assert connected.get("kept") == b"yes"
    later.close()
    wait_until_ended(tmp_path / "new")


def test_a_folder_moved_while_in_use_keeps_its_server(tmp_path: Path) -> None:
    """Who comes by the new path shares it; who came by the old one is refused rather than given an empty one."""
    user, later = EmbeddedServer(tmp_path / "old"), EmbeddedServer(tmp_path / "new")
    user.ensure()
    identity = run_id(user.socket)
    (tmp_path / "old").rename(tmp_path / "new")
    later.ensure()
    assert run_id(later.socket) == identity
    with pytest.raises(Refused, match="was moved or deleted while in use"):
        user.ensure()
    user.close()
    assert run_id(later.socket) == identity
    later.close()
    wait_until_ended(tmp_path / "new")


def test_a_folder_deleted_while_in_use_is_refused(tmp_path: Path) -> None:
    """The server has lost its files: the user is told, and the server ends with it."""
    folder = tmp_path / "data"
    user = EmbeddedServer(folder)
    user.ensure()
    (server,) = servers(folder)
    shutil.rmtree(folder)
    with pytest.raises(Refused, match="was moved or deleted while in use"):
        user.ensure()
    user.close()
    wait_until(lambda: not Path(f"/proc/{server}").exists(), 20, "end of the server")
