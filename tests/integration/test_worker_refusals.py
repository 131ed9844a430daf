"""The real worker command where it cannot work: one line that says why, an exit code, in time, and no password."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.kafka_kit import (
    committed,
    create_topic,
    produce,
    settings_for,
    table_of,
)
from tests.integration.secured_kafka import SecuredKafka, User
from tests.integration.worker_process import WorkerProcess
from tools.kafka_security import Certificates
from tools.local_kafka import LocalKafka, free_port

SECONDS = 20.0
UNREACHABLE_SECONDS = 25.0
PASSWORD = "secret-"


def refuses(told: str | list[str], *, within: float = SECONDS, **settings: Any) -> None:
    """Start a worker that has to give up: it says so in one line with all that is `told`, in time, by its exit code."""
    with WorkerProcess(**settings) as worker:
        gives_up(worker, [told] if isinstance(told, str) else told, within)


def gives_up(worker: WorkerProcess, told: list[str], within: float) -> None:
    """Check how a worker gives up."""
    code = worker.ends(within)
    assert code > 0, f"exit code {code}:\n{worker.output}"
    assert len(worker.errors) == 1, worker.output
    for part in told:
        assert part.lower() in worker.errors[0].lower(), worker.errors[0]
    assert PASSWORD not in worker.output
    assert "Traceback" not in worker.output, worker.output


def plain(broker: LocalKafka, **more: Any) -> dict[str, Any]:
    """Return the settings of a worker on topics of its own, as keyword arguments."""
    settings = settings_for(broker, **more)
    own = ("broker", "app_id", "topic_prefix", "partitions", "broker_timeout")
    return {name: getattr(settings, name) for name in (*own, *more)}


# --- the broker is not there ------------------------------------------------------------------------------------------


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and never answer."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield server.getsockname()[1]


def test_a_broker_that_is_not_there() -> None:
    """A closed port, one that accepts and never answers, an unknown host: each line names the address and the fault."""
    closed = free_port()
    with silent_server() as silent, ExitStack() as workers:
        told = {
            f"127.0.0.1:{closed}": "refused",
            f"127.0.0.1:{silent}": "no answer",
            "nowhere.invalid:9092": "not known",
            f"127.0.0.1:{closed}, 127.0.0.1:{silent}": "no answer",
        }
        started = {
            address: workers.enter_context(WorkerProcess(broker=f"kafka://{address.replace(', ', ';kafka://')}"))
            for address in told
        }
        for address, worker in started.items():
            gives_up(worker, [f"no Kafka at {address} ", "ORDERS_BROKER", told[address]], UNREACHABLE_SECONDS)


# --- the login --------------------------------------------------------------------------------------------------------


@pytest.fixture
def user(secured: SecuredKafka) -> User:
    """A login without rights, whose topics are there."""
    user = secured.new_user()
    user.create_topics()
    return user


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password(user: User, mechanism: str) -> None:
    """The line names the user and the settings, not the password."""
    wrong = user.settings(mechanism=mechanism, kafka_password=f"{PASSWORD}wrong")
    refuses([user.name, "ORDERS_KAFKA_PASSWORD"], **wrong)


def test_an_unknown_authority(user: User, tmp_path: Path) -> None:
    """The line says that the certificate is not trusted and which setting decides."""
    other = Certificates.make(tmp_path / "other")
    refuses(["not trusted", "ORDERS_KAFKA_CA_FILE"], **user.settings("SASL_SSL", kafka_ca_file=other.authority))


def test_no_password_is_printed_at_any_log_level(user: User) -> None:
    """Not even what the client library writes at the debug level holds it."""
    user.grant()
    with WorkerProcess(log_level="debug", **user.settings()) as worker:
        worker.wait_until_owning(2)
        assert "DEBUG" in worker.output
        assert PASSWORD not in worker.output


# --- missing rights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("read orders", ["read", "{orders}"]),
        ("read state", ["read", "{state}"]),
        ("write state", ["{state}", "ACL"]),
        ("write order-updates", ["{order_updates}", "ACL"]),
        ("write dead-letters", ["{dead_letters}", "ACL"]),
        ("transactional id", ["{state}-", "TransactionalId", "ACL"]),
        ("group", ["group", "{app_id}", "ACL"]),
    ],
)
def test_a_missing_right(secured: SecuredKafka, user: User, missing: str, told: list[str]) -> None:
    """The line names what may not be done, and to what; nothing of the step that met it is committed."""
    user.grant(without=missing)
    for partition in range(2):
        produce(secured.broker, user.topics.orders, [(b"k", b"x"), (b"k", b"bad")], partition)
    names = user.topics._asdict() | {"app_id": user.app_id}
    refuses([part.format(**names) for part in told], **user.settings())
    if missing != "group":
        assert committed(secured.broker, user.topics.order_updates) == []
        assert table_of(secured.broker, user.topics.state) == {}


def test_topics_that_may_not_be_created(secured: SecuredKafka) -> None:
    """Without the topics and without the right to make them the line names one of them."""
    user = secured.new_user()
    user.grant()
    refuses([f"topic {user.prefix}", "create"], **user.settings())


# --- the topics -------------------------------------------------------------------------------------------------------


def test_another_partition_count(kafka: LocalKafka) -> None:
    """The line names the topic, its count and the setting that would fit."""
    settings = plain(kafka, partitions=3)
    create_topic(kafka, f"{settings['topic_prefix']}orders", 5)
    refuses(["orders has 5 partitions", "ORDERS_PARTITIONS=5"], **settings)


def test_a_state_topic_that_forgets(kafka: LocalKafka) -> None:
    """A state topic that is not compacted would lose rows by retention."""
    settings = plain(kafka)
    state = f"{settings['topic_prefix']}{settings['app_id']}-state"
    create_topic(kafka, state)
    refuses([state, "compact"], **settings)


def test_a_session_time_out_that_the_broker_does_not_allow(kafka: LocalKafka) -> None:
    """A broker has a minimum: 6 s as it comes, 2 s in these tests."""
    refuses(["ORDERS_SESSION_TIMEOUT=1"], **plain(kafka), session_timeout=1)


# --- this machine -----------------------------------------------------------------------------------------------------


def test_a_web_port_in_use(kafka: LocalKafka) -> None:
    """The line names the address and the setting, and the worker leaves the work to others."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refuses([f"127.0.0.1:{port}", "ORDERS_WEB_PORT"], web_port=port, **plain(kafka))


def unwritable(tmp_path: Path) -> Path:
    folder = tmp_path / "readonly"
    folder.mkdir()
    folder.chmod(0o555)
    return folder / "data"


def below_a_file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_text("")
    return file / "data"


def a_file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_text("")
    return file


def not_even_for_root(_: Path) -> Path:
    return Path("/proc/self")


@pytest.mark.parametrize("folder", [unwritable, below_a_file, a_file, not_even_for_root])
def test_a_data_folder_that_cannot_be_written(
    kafka: LocalKafka, tmp_path: Path, folder: Callable[[Path], Path]
) -> None:
    """The line names the folder and the setting."""
    path = folder(tmp_path)
    if folder is unwritable and os.access(path.parent, os.W_OK):
        pytest.skip("this user may write everywhere")
    refuses([str(path), "ORDERS_DATA_DIR"], data_dir=path, **plain(kafka))


def test_a_full_disk(kafka: LocalKafka, tmp_path: Path) -> None:
    """The line says that there is no room in the folder, and which setting names another."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a small disk")
    try:
        refuses([str(tmp_path), "No space left", "ORDERS_DATA_DIR"], data_dir=tmp_path / "data", **plain(kafka))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)  # noqa: S607 - whichever is in PATH


def test_a_data_folder_is_made_with_all_that_leads_to_it(kafka: LocalKafka, tmp_path: Path) -> None:
    """A new machine has none of it."""
    with WorkerProcess(data_dir=tmp_path / "var" / "lib" / "orders", **plain(kafka)) as worker:
        worker.wait_until_owning(1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("partitions", "0"), ("partitions", "four"), ("broker", "amqp://x"), ("topic_prefix", "a b"), ("web_port", "x")],
)
def test_a_setting_that_makes_no_sense(name: str, value: str) -> None:
    """The line names the variable, before anything is contacted."""
    refuses(f"ORDERS_{name.upper()}", within=10, app="app", **{name: value})
