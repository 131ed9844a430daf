"""A real Kafka broker by Java: for development (`python -m tools.local_kafka`), tests and benchmarks."""

import base64
import os
import random
import signal
import socket
import subprocess
import sys
import uuid
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from tools import docker_kafka
from tools.broker_process import BrokerProcess, telling_line
from tools.errors import BrokerError, ToolError
from tools.kafka_jars import KAFKA_VERSION, ensure_jars, find_java
from tools.kafka_properties import INTERNAL, Listener, as_text, broker_properties
from tools.kafka_security import Security

DEV_PORT = 9092
# Below the ports that the system hands out to clients, so that a broker finds its port free again after a restart.
FREE_PORTS = range(20_000, 30_000)
LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c{1})%n
"""


SHORTLY = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
"""Options of a Java that ends soon: compiling well, and collecting at leisure, would cost more than they save."""


class LocalKafka(BrokerProcess):
    """One KRaft node, broker and controller in one, that keeps everything in `folder` (data, configuration, log).

    `port` is that of the open listener; without it a free one is chosen, and kept over restarts. `security` adds
    listeners with logins or TLS on free ports (see `address`). `properties` wins over our own; `heap` is Java's -Xmx
    for a broker that has work to do: without it, it is one that starts fast and lives shortly.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        security: Security | None = None,
        properties: Mapping[str, str] | None = None,
        heap: str | None = None,
    ) -> None:
        self.folder = folder.resolve()
        super().__init__(port or free_port(), self.folder / "broker.log")
        self._security = security
        self._heap = heap
        self._controller_port = free_port()
        self._listeners = [
            Listener(INTERNAL, "PLAINTEXT", self.port),
            *(Listener(protocol, protocol, free_port()) for protocol in (security.protocols if security else ())),
        ]
        self._properties = (security.properties() if security else {}) | dict(properties or {})

    def address(self, protocol: str = INTERNAL) -> str:
        """Return `host:port` of the listener with this security protocol."""
        return next(f"127.0.0.1:{listener.port}" for listener in self._listeners if listener.protocol == protocol)

    def prepare(self) -> list[str]:
        """Write the configuration, format the storage the first time, and return the command line."""
        java, jars = find_java(), ensure_jars()
        data = self.folder / "data"
        self.folder.mkdir(parents=True, exist_ok=True)
        config, log4j = self.folder / "server.properties", self.folder / "log4j2.properties"
        config.write_text(
            as_text(broker_properties(str(data), self._listeners, self._controller_port, self._properties))
        )
        log4j.write_text(LOG4J)
        options = [f"-Dlog4j2.configurationFile={log4j}", f"-Djava.io.tmpdir={self.folder}", "-cp", f"{jars}/*"]
        if not (data / "meta.properties").exists():
            self._format([java, *SHORTLY, *options], config)
        size = [f"-Xmx{self._heap}"] if self._heap else ["-Xmx512m", *SHORTLY]
        return [java, *size, "-XX:+ExitOnOutOfMemoryError", *options, "kafka.Kafka", str(config)]

    def _format(self, java: list[str], config: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")
        more = self._security.format_arguments() if self._security else []
        command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(config), *more]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise BrokerError(
                f"Kafka could not format its storage in {self.folder}: {telling_line(answer.stdout + answer.stderr)}"
            )


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on, outside the range that clients are given."""
    while True:
        port = random.choice(FREE_PORTS)  # noqa: S311 - not a secret
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a development broker in the foreground until Ctrl-C; returns the exit code."""
    data = Path(os.environ.get("ORDERS_DATA_DIR") or ".orderflow") / "kafka"
    parser = ArgumentParser("tools.local_kafka", description="A Kafka broker for development, until Ctrl-C.")
    parser.add_argument("--port", type=int, default=DEV_PORT, help="where clients connect (%(default)s)")
    parser.add_argument("--data", type=Path, default=data, help="folder of its data and log (%(default)s)")
    parser.add_argument("--java", action="store_true", help="use Java even if a Docker engine runs")
    options = parser.parse_args(arguments)

    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # SIGINT too: a shell's background job starts with it ignored
        signal.signal(number, _interrupt)
    broker: BrokerProcess
    if not options.java and docker_kafka.engine_answers():
        broker = docker_kafka.DockerKafka(options.port, options.data / "docker.log")
        kept = f"data in the Docker volume {docker_kafka.VOLUME}"
    else:
        broker = LocalKafka(options.data, port=options.port, heap="1g")
        kept = f"data in {options.data}"
    try:
        print(f"Starting Kafka {KAFKA_VERSION} …", flush=True)
        with broker:
            print(f"Kafka {KAFKA_VERSION} answers at {broker.url}, {kept}.", flush=True)
            print("Ctrl-C stops it; the data stays. Now, in another terminal: make run", flush=True)
            code = broker.wait()
            print(f"Kafka ended by itself with code {code}; see {broker.log}", file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        print("\nKafka is stopped.")
        return 0
    except ToolError as error:
        print(f"make kafka: {error}", file=sys.stderr)
        return 1


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
