"""Kafka with one node, and with three, each behind a proxy."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.faults.brokers.hanging import hanging_transactions
from tests.faults.brokers.kafka_nodes import KafkaNodes
from tests.faults.brokers.target import Target
from tests.proxy import Proxy
from tests.waiting import wait_until

IN_SYNC_SECONDS = 90
END_SECONDS = 3.0
PAUSE_SECONDS = 0.1


class KafkaTarget(Target):
    """See `Target`. One node; a commit of it may be answered a moment before it is safe (docs/reliability.md)."""

    name: ClassVar[str] = "kafka"
    nodes: ClassVar[int] = 1
    server: KafkaNodes

    def __init__(self, folder: Path, seed: int = 0) -> None:
        super().__init__(folder)
        self.server = KafkaNodes(folder, self.nodes)
        self.proxies = [Proxy(node.worker_port, seed + node.number) for node in self.server.nodes]

    def start(self) -> None:
        """Start the nodes side by side: alone, none of several would get far."""
        nodes = self.server.nodes
        for node, proxy in zip(nodes, self.proxies, strict=True):
            proxy.__enter__()
            node.join(nodes, proxy.port)
        with ThreadPoolExecutor(len(nodes)) as pool:
            for started in [pool.submit(node.start, 120) for node in nodes]:
                started.result()

    def worker_environment(self) -> Mapping[str, str]:
        """Lead through the proxies."""
        return {"ORDERS_BROKER": ";".join(f"kafka://127.0.0.1:{proxy.port}" for proxy in self.proxies)}

    def kill(self, node: int) -> None:
        """Kill a node."""
        self.server.nodes[node].kill()

    def restart(self, node: int) -> None:
        """Start a node, and wait until every partition has all its copies again: the next one may be killed then."""
        self.server.nodes[node].stop()
        self.server.nodes[node].start(120)
        wait_until(self._is_in_sync, IN_SYNC_SECONDS, "every partition to have all its copies in sync")

    def recover(self, node: int) -> None:
        """Wait until it ends, which takes a moment when it has lost its disk, or has all copies in sync."""
        deadline = time.monotonic() + END_SECONDS
        while self.runs(node) and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)
        if self.runs(node):
            wait_until(self._is_in_sync, IN_SYNC_SECONDS, "every partition to have all its copies in sync")
        else:
            self.restart(node)

    def _is_in_sync(self) -> bool:
        try:
            topics = AdminClient({"bootstrap.servers": self.server.bootstrap}).list_topics(timeout=5).topics
        except KafkaException:
            time.sleep(1)
            return False
        return all(
            len(partition.isrs) == len(partition.replicas)
            for topic in topics.values()
            for partition in topic.partitions.values()
        )

    def own_fault(self) -> str:
        """A lone node may forget to end transactions."""
        if self.nodes > 1:
            return ""
        hanging = hanging_transactions(self.server.nodes[0])
        return f"Kafka left transactions hanging: {'; '.join(hanging)}" if hanging else ""

    def runs(self, node: int) -> bool:
        """Look for the process."""
        return self.server.nodes[node].pid is not None

    def pid(self, node: int) -> int:
        """Return the node's."""
        pid = self.server.nodes[node].pid
        assert pid is not None, f"node {node} does not run"
        return pid


class ThreeNodesTarget(KafkaTarget):
    """Three copies of everything, two of which must be there: one node may be away at any time."""

    name: ClassVar[str] = "kafka3"
    nodes: ClassVar[int] = 3
