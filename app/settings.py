"""Every setting of the application, read from the environment once. Nothing is opened or connected here."""

import re
import socket
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings, each from the environment variable of its name with the prefix ORDERS_ (for instance ORDERS_BROKER)."""

    model_config = SettingsConfigDict(env_prefix="ORDERS_", env_ignore_empty=True, frozen=True, extra="ignore")

    broker: str = Field(
        "embedded://",
        description="where the topics are: embedded:// (a server of our own in the data folder), "
        "redis://host:port/0, rediss://… (TLS), kafka://host:port[;kafka://host:port…]",
    )
    app_id: str = Field("orderflow", pattern=r"^[A-Za-z0-9._-]{1,100}$", description="names the group and the state")
    partitions: int = Field(4, ge=1, le=10_000, description="partitions of the topics this application creates")
    data_dir: Path = Field(Path(".orderflow"), description="folder for local files")
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,100}$", description="put before every topic's name")

    web_host: str = Field("127.0.0.1", description="address the web server listens on")
    web_port: int = Field(6066, ge=0, le=65_535, description="port the web server listens on")
    web_url: str | None = Field(
        None, description="address under which other workers reach this one; default: host and port"
    )
    web_token: SecretStr | None = Field(
        None, description="token asked of every web request; needed to listen elsewhere than on loopback"
    )
    web_open_reading: bool = Field(False, description="let anybody read without the token; changes still need it")
    web_allowed_hosts: str = Field(
        "", description="further names, with commas, under which the web server may be asked (behind a proxy)"
    )
    web_rate: float = Field(1_000.0, gt=0, description="requests per second that one client address may send")

    session_timeout: float = Field(
        6.0, ge=1, le=300, description="seconds without a sign of life until a worker is dead"
    )
    broker_timeout: float = Field(30.0, ge=1, le=600, description="seconds without a broker until a worker gives up")
    on_lost_records: Literal["stop", "continue"] = Field(
        "stop", description="what to do when records were deleted from the orders topic before they were read"
    )

    check: str | None = Field(
        None, description="package.module:function, an async function that is called with each event before it counts"
    )
    check_timeout: float = Field(10.0, gt=0, le=600, description="seconds that one call of the check may take")
    check_at_once: int = Field(64, ge=1, le=10_000, description="calls of the check under way at once, per worker")
    retry_attempts: int = Field(5, ge=1, le=1_000, description="how often an event is tried that fails for the moment")
    retry_longest: float = Field(300.0, gt=0, description="longest pause between two tries, in seconds")
    retry_total: float = Field(3_600.0, gt=0, description="seconds after which an event is not tried any more")
    letters_days: float = Field(7.0, ge=0, description="days that closed dead letters are kept")
    letters_mb: int = Field(
        128, ge=1, description="megabytes that the letters of a partition may take; beyond that the oldest are deleted"
    )

    lag_warning: int = Field(500, ge=1, description="records that wait: from here on `status` warns")
    lag_critical: int = Field(5_000, ge=1, description="records that wait: from here on it is critical")
    pending_warning: int = Field(100, ge=1, description="open dead letters: from here on `status` warns")
    pending_critical: int = Field(1_000, ge=1, description="open dead letters: from here on it is critical")
    idle_workers_warning: int = Field(1, ge=1, description="workers without a partition: from here on `status` warns")
    idle_workers_critical: int = Field(2, ge=1, description="workers without a partition: from here on it is critical")
    backlog_warning: float = Field(0.5, gt=0, le=1, description="share of ORDERS_REDIS_MAX_BACKLOG: warning")
    backlog_critical: float = Field(0.9, gt=0, le=1, description="share of ORDERS_REDIS_MAX_BACKLOG: critical")

    embedded_fsync: Literal["always", "everysec"] = Field(
        "always", description="when the embedded server's file is synced: with every commit, or once a second"
    )
    redis_username: str | None = Field(None, description="user (ACL), where ORDERS_BROKER names none")
    redis_password: SecretStr | None = Field(None, description="password, where ORDERS_BROKER holds none")
    redis_ca_file: Path | None = Field(
        None, description="certificates of the authorities to trust (PEM), for rediss://"
    )
    redis_cert_file: Path | None = Field(None, description="this client's certificate (PEM)")
    redis_key_file: Path | None = Field(None, description="key of this client's certificate (PEM)")
    redis_retain: int = Field(
        10_000, ge=0, description="records of a partition that stay after everybody has read them (not dead letters)"
    )
    redis_max_backlog: int = Field(
        1_000_000, ge=1, description="records of a partition that may wait to be read; then senders wait"
    )

    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca_file: Path | None = Field(None, description="certificates of the authorities to trust (PEM)")
    kafka_cert_file: Path | None = Field(None, description="this client's certificate (PEM)")
    kafka_key_file: Path | None = Field(None, description="key of this client's certificate (PEM)")
    kafka_replication: int = Field(
        0, ge=0, le=32_767, description="replicas of created topics; 0: three, or one per broker"
    )
    kafka_compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "none", description="of what is written"
    )

    @property
    def broker_shown(self) -> str:
        """Scheme and hosts of the broker: what may be printed of its address."""
        return without_credentials(self.broker)

    @field_validator("web_token")
    @classmethod
    def _without_spaces(cls, token: SecretStr | None) -> SecretStr | None:
        """A line end that came from a file is no part of it: no header could bring it."""
        if token is not None and not token.get_secret_value().strip():
            raise PydanticCustomError("web_token", "must not be blank")
        return None if token is None else SecretStr(token.get_secret_value().strip())

    @field_validator("web_url")
    @classmethod
    def _is_web_address(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://[^/]", url):
            raise PydanticCustomError("web_url", "must begin with http:// or https:// and a host")
        return url

    def web_address(self, port: int) -> str:
        """Return the address under which other workers reach this one when it listens on `port`."""
        if self.web_url:
            return self.web_url.rstrip("/")
        host = socket.gethostname() if self.web_host in ("0.0.0.0", "::", "") else self.web_host  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class SettingsError(Exception):
    """A setting has a value that cannot be used; the text names the variable and the fault, one a line."""


def without_credentials(broker: str) -> str:
    """Return scheme and hosts of a broker's address: "kafka://a:9092;b:9092"."""
    scheme, _, rest = broker.partition("://")
    hosts = []
    for part in re.split("[;,]", rest):
        address = part.strip().removeprefix(f"{scheme}://").rpartition("@")[2]
        host = re.split("[/?#]", address)[0]
        if re.fullmatch(r"[\w.\-]+(:\d+)?|\[[0-9A-Fa-f:]+\](:\d+)?", host):
            hosts.append(host)
    return f"{scheme}://{';'.join(hosts)}"


def unknown_settings(environ: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that looks like a misspelt setting of ours; others may begin with ORDERS_ too."""
    known = [f"ORDERS_{name.upper()}" for name in Settings.model_fields]
    guesses = {
        name: get_close_matches(name, known, n=1, cutoff=0.85)
        for name in sorted(environ)
        if name.startswith("ORDERS_") and name not in known
    }
    return [f"{name} is no setting; is {guess[0]} meant?" for name, guess in guesses.items() if guess]


@cache
def load_settings() -> Settings:
    """Read the settings from the environment, once; raises `SettingsError`."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [f"ORDERS_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors(include_url=False)]
        raise SettingsError("; ".join(faults)) from error
