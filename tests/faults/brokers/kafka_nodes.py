"""Kafka nodes that tell workers another address than everybody else: that of a proxy, which they cannot pass by."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from app.settings import Settings
from tests.contract.brokers.kafka import KafkaFeed, KafkaServer, KafkaView
from tests.contract.brokers.server import names
from tests.logs import Log
from tools.errors import BrokerError
from tools.local_kafka import LocalKafka, free_port

CLUSTER_ID = "T3JkZXJmbG93LWZhdWx0cw"
WORKERS = "WORKERS"


class Node(LocalKafka):
    """One of the nodes; `join` tells it of the others before it is started."""

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(folder, heap="512m")
        self.number = number
        self.worker_port = free_port()

    @property
    def voter(self) -> str:
        """How the others name it."""
        return f"{self.number}@127.0.0.1:{self._controller_port}"

    def join(self, nodes: Sequence["Node"], proxy_port: int) -> None:
        """Be one of `nodes`, which workers reach by the proxy."""
        copies, least = (str(len(nodes)), "2") if len(nodes) > 1 else ("1", "1")
        self._properties = {
            "node.id": str(self.number),
            "controller.quorum.voters": ",".join(node.voter for node in nodes),
            "listeners": f"PLAINTEXT://{self.bootstrap},{WORKERS}://127.0.0.1:{self.worker_port},"
            f"CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap},{WORKERS}://127.0.0.1:{proxy_port}",
            "listener.security.protocol.map": f"PLAINTEXT:PLAINTEXT,{WORKERS}:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "group.min.session.timeout.ms": "2000",
            "default.replication.factor": copies,
            "min.insync.replicas": least,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": least,
            # Soon after a node is back it leads its share again.
            "leader.imbalance.check.interval.seconds": "5",
        }

    def _format(self, java: list[str], config: Path) -> None:
        """Format it as one of the cluster."""
        command = [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(config)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise BrokerError(f"Kafka could not format its storage: {answer.stdout}{answer.stderr}")


class KafkaNodes(KafkaServer):
    """Tests look into it past the proxies, by whichever node answers."""

    def __init__(self, folder: Path, count: int) -> None:
        super().__init__(folder)
        self.nodes = [Node(folder / f"node-{number}", number + 1) for number in range(count)]

    @property
    def bootstrap(self) -> str:
        """All addresses."""
        return ",".join(node.bootstrap for node in self.nodes)

    def stop(self) -> None:
        """Stop all nodes: at once, for a lone one of several takes its time."""
        for node in self.nodes:
            node.kill() if len(self.nodes) > 1 else node.stop()

    def address(self) -> dict[str, str]:
        """Return all addresses."""
        return {"broker": "kafka://" + self.bootstrap}

    def log(self, settings: Settings, topic: str) -> Log:
        """Read with confluent-kafka."""
        return Log(self.bootstrap, topic, settings.partitions)

    def view(self, settings: Settings) -> KafkaView:
        """Read the state topic."""
        return KafkaView(self.log(settings, names(settings).state))

    def feed(self, settings: Settings) -> KafkaFeed:
        """Send with librdkafka."""
        return KafkaFeed(self.bootstrap, names(settings).orders)
