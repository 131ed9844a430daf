"""The stage of an acceptance test: a real broker, topics of its own, real workers, and readers of every topic."""

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

from tests.acceptance.shop import Shop
from tests.contract.brokers.server import Server, environment, names
from tests.waiting import wait_until
from tests.workers import Worker, Workers

PARTITIONS = 4
START_SECONDS = 40
SESSION_SECONDS = 4.0
"""Two workers and a broker on two processors: one that is busy must not seem dead."""


class Scene:
    """As a context manager it leaves no process behind. Its topics stay until the broker goes.

    `settings` wins over what workers get otherwise (not what looks on, or sends); `worker_environment` is for them too.
    """

    def __init__(
        self,
        server: Server,
        folder: Path,
        settings: Mapping[str, Any] | None = None,
        worker_environment: Mapping[str, str] | None = None,
    ) -> None:
        self.server = server
        self.settings = server.settings(
            partitions=PARTITIONS,
            **{"broker_timeout": 30.0, "session_timeout": max(SESSION_SECONDS, server.session_timeout)}
            | server.keeping
            | dict(settings or {}),
        )
        self.app_id = self.settings.app_id
        self.workers = Workers(folder, environment(self.settings) | dict(worker_environment or {}))
        self.reader = Worker("reader", folder, environment(self.settings))
        topics = names(self.settings)
        self.orders = server.log(self.settings, topics.orders)
        self.updates = server.log(self.settings, topics.order_updates)
        self.dead_letters = server.log(self.settings, topics.dead_letters)
        self.state = server.view(self.settings)
        self._ends = dict.fromkeys(range(PARTITIONS), 0)

    def start_workers(self, count: int) -> list[Worker]:
        """Start workers and wait until each of them has its share of the partitions and works on them."""
        workers = self.workers.start(count)
        self.wait_until_shared(*workers)
        return workers

    def wait_until_shared(self, *workers: Worker, seconds: float = START_SECONDS) -> None:
        """Return once these workers share the partitions evenly, and run them."""
        shares = sorted(PARTITIONS // len(workers) + (n < PARTITIONS % len(workers)) for n in range(len(workers)))
        owned: dict[str, set[int]] = {}

        def are_shared() -> bool:
            self.workers.check()
            owned.update({worker.name: self.owned_by(worker) for worker in workers})
            whole = set().union(*owned.values()) == set(range(PARTITIONS))
            return whole and sorted(map(len, owned.values())) == shares

        wait_until(are_shared, seconds, f"shares of {shares}", lambda: f"but {owned}\n{self.workers.tails()}")

    def shop(self, events: Iterable[bytes], per_second: float, misplaced: float = 0) -> Shop:
        """Return a shop that will send these events."""
        return Shop(self.server.feed(self.settings), PARTITIONS, events, per_second, misplaced)

    def committed(self) -> dict[int, int]:
        """Return the offset up to which each partition is processed, as committed with its rows."""
        return {partition: self.state.offset(partition) or 0 for partition in range(PARTITIONS)}

    def ends(self) -> dict[int, int]:
        """Return the offset behind the last committed record of each partition of orders."""
        for record in self.orders.read_on():
            self._ends[record.partition] = record.offset + 1
        return dict(self._ends)

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
        """Return, for each partition, the longest time between two steps that accepted an event, in seconds.

        Says something only of a run in which events came in all the time.
        """
        times: dict[int, list[int]] = {}
        for record in self.updates.catch_up():
            times.setdefault(record.partition, []).append(record.timestamp)
        return {p: max((b - a for a, b in pairwise(of_p)), default=0) / 1000 for p, of_p in times.items()}

    def owned_by(self, worker: Worker) -> set[int]:
        """Return the partitions that a worker runs, as it says itself; none while it cannot say."""
        try:
            with urlopen(f"{worker.url}/api/status", timeout=10) as answer:  # noqa: S310 - http, on this machine
                partitions: list[dict[str, Any]] = json.load(answer)["partitions"]
        except OSError:
            return set()
        return {p["partition"] for p in partitions if p["owner"] == worker.url and p["state"] == "running"}

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all workers, close all readers."""
        self.workers.__exit__(None, None, None)
        for reader in (self.orders, self.updates, self.dead_letters, self.state):
            reader.close()
