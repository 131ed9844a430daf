"""Settings come from ORDERS_* variables; a value that makes no sense is named, a secret is never shown."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings, SettingsError, load_settings, unknown_settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of the machine or of another test plays a part."""
    import os  # noqa: PLC0415 - the one place that needs it

    for name in list(os.environ):
        if name.upper().startswith("ORDERS_"):
            monkeypatch.delenv(name)
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """Return the settings with these variables, each without its prefix."""
    for name, value in variables.items():
        monkeypatch.setenv(f"ORDERS_{name.upper()}", value)
    load_settings.cache_clear()
    return load_settings()


def test_nothing_has_to_be_set() -> None:
    """The defaults are for one machine, reachable from nowhere else."""
    settings = load_settings()
    assert settings.app_id == "orderflow"
    assert settings.partitions == 4
    assert settings.data_dir == Path(".orderflow")
    assert (settings.web_host, settings.web_port) == ("127.0.0.1", 6066)
    assert settings.topic_prefix == ""
    assert settings.kafka_security_protocol == "PLAINTEXT"
    assert settings.on_lost_records == "stop"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("broker", "kafka://a:1;kafka://b:2", "kafka://a:1;kafka://b:2"),
        ("app_id", "Totals_1.x-y", "Totals_1.x-y"),
        ("partitions", "12", 12),
        ("data_dir", "/var/lib/orders", Path("/var/lib/orders")),
        ("topic_prefix", "shop.", "shop."),
        ("web_port", "0", 0),
        ("session_timeout", "7.5", 7.5),
        ("broker_timeout", "3", 3.0),
        ("on_lost_records", "continue", "continue"),
        ("kafka_security_protocol", "SASL_SSL", "SASL_SSL"),
        ("kafka_sasl_mechanism", "SCRAM-SHA-512", "SCRAM-SHA-512"),
        ("kafka_compression", "zstd", "zstd"),
        ("kafka_replication", "3", 3),
    ],
)
def test_every_setting_is_read_from_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: Any
) -> None:
    """ORDERS_ and its name in capitals."""
    assert getattr(given(monkeypatch, **{name: value}), name) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("web_url", "worker-1:6066"),
        ("app_id", "a b"),
        ("app_id", "a/b"),
        ("app_id", "x" * 101),
        ("topic_prefix", "ä"),
        ("topic_prefix", "a b"),
        ("partitions", "0"),
        ("partitions", "10001"),
        ("partitions", "four"),
        ("web_port", "65536"),
        ("web_port", "-1"),
        ("session_timeout", "0"),
        ("broker_timeout", "forever"),
        ("on_lost_records", "ignore"),
        ("kafka_security_protocol", "TLS"),
        ("kafka_sasl_mechanism", "GSSAPI"),
        ("kafka_compression", "brotli"),
        ("kafka_replication", "-1"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The error is one line with the variable's name."""
    with pytest.raises(SettingsError) as fault:
        given(monkeypatch, **{name: value})
    assert str(fault.value).startswith(f"ORDERS_{name.upper()}: ")
    assert "\n" not in str(fault.value)


def test_all_faults_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to mend them one by one."""
    with pytest.raises(SettingsError, match=r"ORDERS_PARTITIONS: .*ORDERS_WEB_PORT: "):
        given(monkeypatch, partitions="0", web_port="x")


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by printing the settings nor by an error about another one."""
    settings = given(monkeypatch, kafka_password="hidden-1", web_token="hidden-2")
    assert "hidden" not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.kafka_password is not None
    assert settings.kafka_password.get_secret_value() == "hidden-1"
    with pytest.raises(SettingsError) as fault:
        given(monkeypatch, partitions="0")
    assert "hidden" not in str(fault.value)


def test_an_unknown_variable_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may have variables of that prefix too."""
    assert given(monkeypatch, something_else="1").partitions == 4


def test_settings_do_not_change() -> None:
    """They are read once."""
    with pytest.raises(ValueError, match="frozen"):
        load_settings().partitions = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"web_host": "10.0.0.7"}, "http://10.0.0.7:8080"),
        ({"web_host": "::1"}, "http://[::1]:8080"),
        ({"web_host": "0.0.0.0"}, f"http://{socket.gethostname()}:8080"),  # noqa: S104 - a value to be told of
        ({"web_host": "::"}, f"http://{socket.gethostname()}:8080"),
        ({"web_url": "https://orders.example/w1/"}, "https://orders.example/w1"),
        ({"web_url": "http://x:1", "web_host": "0.0.0.0"}, "http://x:1"),  # noqa: S104 - the same
    ],
)
def test_other_workers_are_told_an_address_that_they_can_use(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    """Where the server listens on every address, the machine's name; and whatever ORDERS_WEB_URL says."""
    assert given(monkeypatch, **variables).web_address(8080) == expected


def test_a_misspelt_setting_is_noticed() -> None:
    """Only one that is close to a setting of ours: others may have variables of that prefix too."""
    environ = {"ORDERS_PARTITION": "8", "ORDERS_BROKER": "embedded://", "ORDERS_SHOP_NAME": "x", "PATH": "/bin"}
    assert unknown_settings(environ) == ["ORDERS_PARTITION is no setting; is ORDERS_PARTITIONS meant?"]


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Compose files leave them."""
    assert given(monkeypatch, app_id="", web_port="").web_port == 6066
