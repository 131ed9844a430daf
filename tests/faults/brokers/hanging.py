"""Recognises what a lone Kafka may do when it is killed between a commit and its markers (docs/reliability.md)."""

import subprocess
import time

from tests.faults.brokers.kafka_nodes import Node
from tools.kafka_jars import ensure_jars, find_java

FORGOTTEN = "likely deleted already and hence can be skipped"
"""What the broker writes when it starts again and drops the markers that were still to be written."""

TOOL = "org.apache.kafka.tools.TransactionsCommand"
ASK_SECONDS = 60
LASTING_SECONDS = 20.0
"""Longer than our transactions may take: what is open then and now hangs."""


def hanging_transactions(node: Node) -> list[str]:
    """Return the transactions that Kafka's own tool finds hanging, twice, on a running node that dropped markers."""
    if node.pid is None or FORGOTTEN not in node.log.read_text(errors="replace"):
        return []
    before = _found(node)
    if not before:
        return []
    time.sleep(LASTING_SECONDS)
    return sorted(before & _found(node))


def _found(node: Node) -> set[str]:
    """Return topic, partition, producer and first offset of each."""
    arguments = ["--bootstrap-server", node.bootstrap, "find-hanging", "--broker-id", str(node.number)]
    answer = subprocess.run(
        [find_java(), "-cp", f"{ensure_jars()}/*", TOOL, *arguments, "--max-transaction-timeout", "0"],
        capture_output=True,
        text=True,
        timeout=ASK_SECONDS,
        check=False,
    )
    assert answer.returncode == 0, f"{TOOL} failed: {answer.stdout}{answer.stderr}"
    lines = [line.split() for line in answer.stdout.splitlines()]
    return {
        f"{topic}[{partition}] from offset {start} of producer {producer}"
        for topic, partition, producer, _, _, start, *_ in (line for line in lines if len(line) == 8)
        if partition.isdigit()
    }
