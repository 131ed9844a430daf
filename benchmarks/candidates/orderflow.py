"""Orderflow itself, one worker: the simple job, and the full pipeline."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.version import VERSION
from benchmarks.brokers.redis_server import FSYNC
from benchmarks.candidates.asking import ask
from benchmarks.candidates.candidate import Candidate, Job, Place, Restored, Worker
from benchmarks.processes import Session
from tools.local_kafka import free_port

APPS: dict[Job, str] = {"simple": "benchmarks.simple_job:app", "pipeline": "app"}
TABLES: dict[Job, str] = {"simple": "totals", "pipeline": "api/customers"}


class Orderflow(Candidate):
    """A worker as users start it. Everything else is compared with it."""

    exactly_once = True

    def __init__(
        self, broker: str, name: str, *, fsync: str | None = None, reference: bool = False, job: Job = "simple"
    ) -> None:
        self.key = f"orderflow-{broker}" + ("-always" if fsync == "always" else "")
        self.name = name
        self.broker = broker
        self.reference = reference
        self._fsync = fsync
        self.job = job

    def doing(self, job: Job) -> "Orderflow":
        """Return the same candidate for another job."""
        return Orderflow(self.broker, self.name, fsync=self._fsync, reference=self.reference, job=job)

    def version(self) -> str:
        """Its own, and Python's."""
        return f"Orderflow {VERSION}"

    @contextmanager
    def start(self, place: Place) -> Iterator[Worker]:
        """Run `faust -A … worker`."""
        if self._fsync is not None:
            place.broker.tune({FSYNC: self._fsync})
        port = free_port()
        faust = str(Path(sys.executable).with_name("faust"))
        command = [faust, "-A", APPS[self.job], "worker", "-l", "info", "--web-port", str(port)]
        begin = place.log.stat().st_size if place.log.exists() else 0
        with Session(command, place.log, place.settings() | {"ORDERS_WEB_PORT": str(port)}) as session:
            yield Worker(
                session,
                done=lambda: _sum(_running(port, place.workload.partitions), "next_offset"),
                ready=lambda: _running(port, place.workload.partitions) is not None,
                customer_url=f"http://127.0.0.1:{port}/{TABLES[self.job]}/{{}}",
                restored=lambda: _restored(session.text()[begin:]),
                rows=lambda: _sum(_running(port, place.workload.partitions), "rows") or 0,
            )


def _running(port: int, partitions: int) -> list[dict[str, Any]] | None:
    """Return the status of all partitions, None while one of them is not running."""
    status = ask(port, "/api/status")
    if status is None:
        return None
    lanes: list[dict[str, Any]] = status["partitions"]
    if len(lanes) < partitions or any(lane["state"] != "running" or lane["next_offset"] is None for lane in lanes):
        return None
    return lanes


def _sum(lanes: list[dict[str, Any]] | None, name: str) -> int | None:
    return None if lanes is None else sum(int(lane[name]) for lane in lanes)


def _restored(log: str) -> Restored:
    """Read from the log how many rows were loaded; partitions load side by side, so the slowest one counts."""
    found = re.findall(r"claimed, (\d+) rows loaded in ([\d.]+) s", log)
    return Restored(sum(int(rows) for rows, _ in found), max((float(s) for _, s in found), default=0.0))
