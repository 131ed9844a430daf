"""The stage of an acceptance test: a real broker, topics of its own, real workers, and readers of every topic."""

import json
import uuid
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Self
from urllib.request import urlopen

from confluent_kafka.admin import AdminClient

from tests.acceptance.shop import Shop
from tests.logs import Log
from tests.waiting import wait_until
from tests.workers import Worker, Workers
from tools.broker_process import BrokerProcess

PARTITIONS = 4
OFFSET_KEY = b"offset"
START_SECONDS = 30


class Scene:
    """As a context manager it leaves no process behind. Its topics stay until the broker goes."""

    def __init__(self, broker: BrokerProcess, folder: Path) -> None:
        run = uuid.uuid4().hex[:8]
        self.broker = broker
        self.app_id = f"app-{run}"
        self._prefix = f"t-{run}-"
        settings = {
            "ORDERS_BROKER": broker.url,
            "ORDERS_APP_ID": self.app_id,
            "ORDERS_TOPIC_PREFIX": self._prefix,
            "ORDERS_PARTITIONS": str(PARTITIONS),
        }
        self.workers = Workers(folder, settings)
        self.orders = self._log("orders")
        self.updates = self._log("order-updates")
        self.dead_letters = self._log("dead-letters")
        self.state = self._log(f"{self.app_id}-state")
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 2})

    def start_workers(self, count: int) -> list[Worker]:
        """Start workers and wait until each of them has its share of the partitions and works on them."""
        workers = self.workers.start(count)
        wait_until(self._topics_exist, START_SECONDS, "the topics", self.workers.tails)
        wait_until(self._all_claimed, START_SECONDS, "every partition to be claimed", self.workers.tails)
        shares = [PARTITIONS // count + (n < PARTITIONS % count) for n in range(count)]
        wait_until(lambda: self.shares() == shares, START_SECONDS, f"shares of {shares}", lambda: f"{self.shares()}")
        return workers

    def shop(self, events: Sequence[bytes], per_second: float, misplaced: float = 0) -> Shop:
        """Return a shop that will send these events."""
        return Shop(self.broker.bootstrap, self.orders.topic, PARTITIONS, events, per_second, misplaced)

    def shares(self) -> list[int]:
        """Return how many partitions each member of the group has, most first, as the broker sees it."""
        group = self._admin.describe_consumer_groups([self.app_id], request_timeout=10)[self.app_id].result()
        counts = [len(m.assignment.topic_partitions) if m.assignment else 0 for m in group.members]
        return sorted(counts, reverse=True)

    def committed(self) -> dict[int, int]:
        """Return the offset up to which each partition is processed, as committed with its rows."""
        offsets = dict.fromkeys(range(PARTITIONS), 0)
        for record in self.state.catch_up():
            if record.key == OFFSET_KEY and record.value is not None:
                offsets[record.partition] = json.loads(record.value)["next"]
        return offsets

    def ends(self) -> dict[int, int]:
        """Return the offset behind the last committed record of each partition of orders."""
        ends = dict.fromkeys(range(PARTITIONS), 0)
        for record in self.orders.catch_up():
            ends[record.partition] = record.offset + 1
        return ends

    def is_processed_to(self, marks: dict[int, int]) -> bool:
        """Say whether every partition is processed up to its mark."""
        committed = self.committed()
        return all(committed[partition] >= mark for partition, mark in marks.items())

    def is_processed(self) -> bool:
        """Say whether every record of orders is processed, forwarded ones too."""
        self.workers.check()
        # First what is committed, then the ends: a step's forwarded records are written before it is committed.
        committed = self.committed()
        return all(committed[partition] >= end for partition, end in self.ends().items())

    def wait_until_processed(self, seconds: float = 60) -> None:
        """Return once everything is processed."""
        wait_until(
            self.is_processed,
            seconds,
            "every record to be processed",
            lambda: f"committed {self.committed()}, ends {self.ends()}\n{self.workers.tails()}",
        )

    def wait_until_past(self, marks: dict[int, int], seconds: float = 30) -> None:
        """Return once every partition is processed up to its mark."""
        wait_until(
            lambda: self.is_processed_to(marks),
            seconds,
            f"all partitions to be processed up to {marks}",
            lambda: f"committed {self.committed()}\n{self.workers.tails()}",
        )

    def pauses(self) -> dict[int, float]:
        """Return, for each partition, the longest time between two of its commits, in seconds.

        Says something only of a run in which events came in all the time.
        """
        times: dict[int, list[int]] = {}
        for record in self.state.catch_up():
            if record.key == OFFSET_KEY:
                times.setdefault(record.partition, []).append(record.timestamp)
        return {p: max((b - a for a, b in pairwise(of_p)), default=0) / 1000 for p, of_p in times.items()}

    def owned_by(self, worker: Worker) -> set[int]:
        """Return the partitions that a worker owns, as it says itself."""
        with urlopen(f"{worker.url}/api/status", timeout=10) as answer:  # noqa: S310 - http, on this machine
            partitions = json.load(answer)["partitions"]
        return {each["partition"] for each in partitions if each["owner"] == worker.url}

    def _log(self, name: str) -> Log:
        return Log(self.broker.bootstrap, self._prefix + name, PARTITIONS)

    def _topics_exist(self) -> bool:
        self.workers.check()
        topics = self._admin.list_topics(timeout=10).topics
        return all(log.topic in topics for log in (self.orders, self.updates, self.dead_letters, self.state))

    def _all_claimed(self) -> bool:
        self.workers.check()
        return sum(self.shares()) == PARTITIONS

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all workers, close all readers."""
        self.workers.__exit__(None, None, None)
        for log in (self.orders, self.updates, self.dead_letters, self.state):
            log.close()
