"""Real workers that count what a shop sends while something happens to their server, and whether they counted right."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Self

from app.settings import Settings
from tests.contract.brokers.redis import StreamFeed, tag
from tests.contract.brokers.server import Read, names, read_log
from tests.integration.redis_kit import RedisNode, worker_settings
from tests.integration.worker_process import WorkerProcess
from tests.waiting import wait_until


class Run:
    """Some workers on topics of their own. A context manager: workers are killed at its end.

    `node` is where results are looked up; `more` are settings, such as the address for workers and the shop.
    """

    def __init__(self, node: RedisNode, workers: int = 1, partitions: int = 2, **more: Any) -> None:
        self.node = node
        self.settings: Settings = node.settings(partitions=partitions, **more)
        self.workers: list[WorkerProcess] = []
        self.sent = 0
        self._count = workers
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start the workers and wait until everything is claimed, and each of them has its share."""
        for _ in range(self._count):
            self.start_worker()
        wait_until(lambda: self.claimed(self.settings.partitions), 20, "every partition to be claimed", self.output)
        wait_until(self._is_shared, 20, "every worker to have its share", self.output)
        return self

    def _is_shared(self) -> bool:
        return all(re.search("This worker owns partitions [0-9]", worker.output) for worker in self.workers)

    def start_worker(self) -> WorkerProcess:
        """Start one more."""
        worker = self._stack.enter_context(WorkerProcess(**worker_settings(self.settings)))
        self.workers.append(worker)
        return worker

    def __exit__(self, *_: object) -> None:
        """End all."""
        self._stack.close()

    def claimed(self, partitions: int) -> bool:
        """Whether so many partitions were claimed up to now."""
        output = self.output()
        return all(f"Partition {partition}: claimed" in output for partition in range(partitions))

    def output(self) -> str:
        """Return what all workers have printed."""
        return "\n".join(worker.output for worker in self.workers)

    def send(self, count: int, seconds: float = 60) -> None:
        """Send so many numbered records, and wait until they are acknowledged."""
        feed = StreamFeed(self.node.client(), self.settings)
        try:
            records = range(self.sent, self.sent + count)
            feed.send([((b"k%d" % (number % 11), b"%d" % number, ()), False) for number in records])
            feed.finish(seconds)
            assert feed.failures == []
            assert feed.delivered == count
        finally:
            feed.close()
        self.sent += count

    def progress(self) -> list[tuple[int, int]]:
        """Return of each partition how far it is counted, and where it ends."""
        stem = f"{tag(self.settings)}:topic:{names(self.settings).orders}"
        with self.node.client() as client:
            found = [client.hgetall(f"{stem}:{partition}:offsets") for partition in range(self.settings.partitions)]
        return [
            (int(offsets.get(b"group:" + self.settings.app_id.encode(), 0)), int(offsets.get(b"end", 0)))
            for offsets in found
        ]

    def wait_until_counted(self, seconds: float = 60) -> None:
        """Wait until everything that was sent is counted; fails if a worker ends before."""

        def counted() -> bool:
            assert all(worker.running for worker in self.workers), self.output()
            return all(done == end for done, end in self.progress())

        wait_until(counted, seconds, "everything to be counted", lambda: f"{self.progress()}\n{self.output()[-5000:]}")

    def check(self) -> None:
        """Check that every record of the topic is counted once, and was passed on once, in order."""
        orders = read_log(self.node, self.settings, names(self.settings).orders)
        self.check_sent(orders)
        updates = read_log(self.node, self.settings, names(self.settings).order_updates)
        for partition in range(self.settings.partitions):
            ours = [record for record in orders if record.partition == partition]
            assert _values(updates, partition) == _values(orders, partition)
            expected = Counter((record.key or b"").decode() for record in ours)
            rows = self.node.state(self.settings, partition).rows
            assert {key: json.loads(row) for (_, key), row in rows.items()} == expected

    def check_sent(self, orders: Sequence[Read]) -> None:
        """Check that everything sent is in the topic, once."""
        assert sorted(int(record.value or b"") for record in orders) == list(range(self.sent))


def _values(records: Sequence[Read], partition: int) -> list[bytes | None]:
    return [record.value for record in records if record.partition == partition]
