"""docker-compose.yml and Dockerfile, checked without a Docker engine: against settings and the real command."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings
from tools.kafka_jars import KAFKA_VERSION
from tools.kafka_properties import Listener, as_environment, broker_properties

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
WORKERS = {name: service for name, service in SERVICES.items() if name.startswith("worker-")}


def test_it_has_a_broker_and_two_workers() -> None:
    """One Kafka of the version that the tests run, two workers, and what looks after them."""
    assert set(SERVICES) == {"kafka", "worker-1", "worker-2", "prometheus", "grafana"}
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_a_health_check(name: str) -> None:
    """A check that gives up in the end, with a command that the image can run without a shell."""
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)


@pytest.mark.parametrize("name", WORKERS)
def test_a_workers_health_check_is_python_that_asks_for_readiness(name: str) -> None:
    """The check compiles, and asks /readyz on the port that the worker listens on."""
    _, python, flag, code = WORKERS[name]["healthcheck"]["test"]
    assert (python, flag) == ("python", "-c")
    compile(code, "health check", "exec")
    assert f"http://127.0.0.1:{Settings.model_fields['web_port'].default}/readyz" in code


@pytest.mark.parametrize("name", WORKERS)
def test_a_workers_variables_are_settings_with_values_that_are_accepted(name: str) -> None:
    """Each ORDERS_ variable is a field, and together they make settings for use in the compose network."""
    environment: dict[str, str] = WORKERS[name]["environment"]
    fields = {key.removeprefix("ORDERS_").lower(): value for key, value in environment.items()}
    assert all(key.startswith("ORDERS_") for key in environment)
    assert set(fields) <= set(Settings.model_fields)
    settings = Settings.model_validate(fields)
    assert settings.web_url == f"http://{name}:{settings.web_port}"
    assert settings.web_host == "0.0.0.0"  # noqa: S104 - inside the container
    listeners = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert settings.broker.replace("kafka://", "INTERNAL://") in listeners


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_waits_for_a_healthy_broker_and_is_published_on_this_machine_only(name: str) -> None:
    """It starts after Kafka answers; its port is not open to the network."""
    assert WORKERS[name]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    published = [*WORKERS[name]["ports"], *SERVICES["kafka"]["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_workers_are_published_on_different_ports() -> None:
    """6066 and 6067."""
    assert [service["ports"] for service in WORKERS.values()] == [["127.0.0.1:6066:6066"], ["127.0.0.1:6067:6066"]]


@pytest.mark.parametrize("name", WORKERS)
def test_a_workers_command_is_one_that_faust_takes(name: str) -> None:
    """`faust -A app worker` with options that Faust's own parser accepts."""
    program, *arguments = WORKERS[name]["command"]
    faust = Path(sys.executable).with_name(program)

    def parse(*more: str) -> int:
        return subprocess.run(
            [faust, *arguments, *more, "--help"], cwd=ROOT, capture_output=True, check=False
        ).returncode

    assert arguments[:3] == ["-A", "app", "worker"]
    assert parse() == 0
    assert parse("--no-such-option") == 2


def test_the_brokers_variables_are_known_properties() -> None:
    """Each is one that the local broker of the tests is started with too, so Kafka has accepted its name."""
    local = as_environment(broker_properties("data", [Listener("PLAINTEXT", "PLAINTEXT", 1)], 2))
    assert set(SERVICES["kafka"]["environment"]) <= set(local)
    assert (
        SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == local["KAFKA_AUTO_CREATE_TOPICS_ENABLE"]
    )


def test_the_image_runs_as_an_ordinary_user_from_locked_packages() -> None:
    """Not as root, every package by hash, and the files it copies exist."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER orderflow" in lines
    installs = [line for line in lines if "pip install" in line and "wheels" not in line]
    assert installs
    assert all("--require-hashes" in line for line in installs)
    copied = [
        name for line in lines if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]
    ]
    assert copied
    assert all((ROOT / name).exists() for name in copied)
