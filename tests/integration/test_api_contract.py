"""A real worker answers as its own description says, whatever is asked: schemathesis looks for where it does not."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import schemathesis

from app.web.errors import ApiError
from app.web.parameters import time_in
from tests.waiting import wait_until
from tests.workers import ROOT, Worker

EVENTS = 400
EXAMPLES = 20
"""Requests of a kind, for each address; the kinds are what is allowed, what is not, and what follows from answers."""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker that has handled orders, some of them broken."""
    settings = {"ORDERS_WEB_RATE": "100000", "ORDERS_SESSION_TIMEOUT": "60"}  # more than can be asked; however slow
    running = Worker("worker", tmp_path, settings).start()
    try:
        wait_until(lambda: _handled(running) == 0, 30, "all partitions", running.tail)
        sample = ("--sample", str(EVENTS), "--seed", "7", "--invalid", "0.1", "--duplicates", "0.05")
        assert running.command("emit", *sample).returncode == 0
        wait_until(lambda: _handled(running) == EVENTS, 30, f"{EVENTS} events", running.tail)
        yield running
        assert running.alive, running.tail()
    finally:
        running.end()


def _handled(worker: Worker) -> int | None:
    """Return how many records a worker has handled, None while it is not ready."""
    try:
        status = _get(worker, "/api/status")
    except OSError:
        return None
    return sum(partition["next_offset"] for partition in status["partitions"]) if status["ready"] else None


def _get(worker: Worker, path: str) -> Any:
    with urlopen(worker.url + path) as response:  # noqa: S310 - an http:// address
        return json.load(response)


def test_a_worker_answers_as_it_is_described(worker: Worker, tmp_path: Path) -> None:
    """No server error; no status, header or field but those described; what is taken and refused is as described."""
    (tmp_path / "schemathesis.toml").write_text(_configuration(worker))
    command: list[str | Path] = [
        *(Path(sys.executable).with_name("schemathesis"), "--config-file", tmp_path / "schemathesis.toml"),
        *("run", f"{worker.url}/openapi.json", "--no-color", "--continue-on-failure"),
        *("--checks", "all"),  # none is left out; the document itself is asked for by schemathesis alone
        *("--seed", "1", "--max-examples", str(EXAMPLES), "--generation-database", "none"),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr + worker.tail()
    for phase in ("Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in " ".join(done.stdout.split()), done.stdout


def _configuration(worker: Worker) -> str:
    """Return the settings of schemathesis: this module's hooks, ids that there are, and warnings that are errors."""
    orders = _get(worker, "/api/orders?limit=100")["orders"]
    products = _get(worker, "/api/products")["products"]
    letters = _get(worker, "/api/dead-letters")["letters"]
    known: Mapping[str, list[str]] = {
        "order_id": [order["order_id"] for order in orders],
        "customer_id": [order["customer_id"] for order in orders],
        "sku": [product["sku"] for product in products],
        "id": [letter["id"] for letter in letters],
        "cursor": [""],  # any other is the server's own, and no text that somebody makes up is one
    }
    lines = [f"hooks = {json.dumps(__name__)}", "[warnings]", "fail-on = true"]
    for name, values in known.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values, ensure_ascii=False)}"]
        lines += [f"[parameters.{name}]", f'dictionary = "{name}"', f"probability = {1 if name == 'cursor' else 0.7}"]
    lines += ['[parameters."body.ids[*]"]', 'dictionary = "id"', "probability = 0.7"]
    return "\n".join(lines)


@schemathesis.hook
def filter_case(_context: object, case: Any) -> bool:
    """Leave out what is refused for a reason that no schema can say."""
    return not (_ends_before_it_begins(case.query or {}) or _mends(case.body))


def _ends_before_it_begins(given: Mapping[str, str]) -> bool:
    try:
        start, end = time_in(given, "from"), time_in(given, "to")
    except (ApiError, TypeError):  # it is to be refused for another reason
        return False
    return start is not None and end is not None and end < start


def _mends(body: object) -> bool:
    """Whether fields are to be set: it depends on the letter which of them there are."""
    changes = body.get("set") if isinstance(body, dict) else None
    return isinstance(changes, list) and changes != [] and all(isinstance(change, str) for change in changes)
