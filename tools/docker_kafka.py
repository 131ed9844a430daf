"""A Kafka broker for development in a Docker container, where a Docker engine runs."""

import shutil
import subprocess

from tools.broker_process import BrokerProcess
from tools.kafka_jars import KAFKA_VERSION
from tools.kafka_properties import INTERNAL, Listener, as_environment, broker_properties

NAME = "orderflow-kafka"
VOLUME = "orderflow-kafka"
IMAGE = f"apache/kafka:{KAFKA_VERSION}"
DATA = "/var/lib/kafka/data"
CONTROLLER_PORT = 29_093
PULL_SECONDS = 600.0


def engine_answers() -> bool:
    """Return whether a Docker engine runs (a client alone is not enough)."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        return subprocess.run([docker, "info"], capture_output=True, timeout=10, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def run_command(port: int) -> list[str]:
    """Return the command line that runs the broker in the foreground, with its data in a named volume."""
    properties = broker_properties(DATA, [Listener(INTERNAL, "PLAINTEXT", port)], CONTROLLER_PORT, bind="0.0.0.0")  # noqa: S104 - inside the container; published on 127.0.0.1 only
    variables = [part for pair in as_environment(properties).items() for part in ("--env", "=".join(pair))]
    return [
        *("docker", "run", "--rm", "--name", NAME),
        *("--publish", f"127.0.0.1:{port}:{port}", "--volume", f"{VOLUME}:{DATA}"),
        *variables,
        IMAGE,
    ]


class DockerKafka(BrokerProcess):
    """The broker in a container. `docker run` hands signals on, so SIGTERM stops it; a kill removes the container."""

    def start(self, timeout: float = PULL_SECONDS) -> None:
        """Start the container; the first time Docker fetches the image, so this waits longer than for Java."""
        super().start(timeout)

    def prepare(self) -> list[str]:
        """Return the command line."""
        return run_command(self.port)

    def kill(self) -> None:
        """Remove the container at once."""
        subprocess.run(["docker", "rm", "--force", NAME], capture_output=True, check=False)  # noqa: S607 - whichever is in PATH
        super().kill()
