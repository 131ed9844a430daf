"""From an event that is sent to its row that can be read: sends at a steady rate and asks for the probes among it."""

import http.client
import json
import queue
import subprocess
import sys
import threading
import time
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.candidates.candidate import Place
from benchmarks.processes import ROOT

PROBERS = 8
PAUSE_SECONDS = 0.003
GIVE_UP_SECONDS = 30.0

Probe = tuple[str, float]


class Probed(NamedTuple):
    """How long each probe took until it could be read, in ms, and how many events per second were really sent."""

    waits: list[float]
    rate: float


def probe(place: Place, customer_url: str, rate: int, seconds: float) -> Probed:
    """Send for so long, and ask for each probe over kept connections until it is there.

    A probe that takes longer than GIVE_UP_SECONDS counts as that long. Raises RuntimeError if the sender fails.
    """
    probes: queue.Queue[Probe | None] = queue.Queue()
    waits: list[float] = []
    probers = [threading.Thread(target=_ask, args=(customer_url, probes, waits)) for _ in range(PROBERS)]
    for prober in probers:
        prober.start()
    sender = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sender", str(rate), str(seconds)],
        cwd=ROOT,
        env={**place.settings(), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    sent = 0.0
    try:
        assert sender.stdout is not None
        for line in sender.stdout:
            told = json.loads(line)
            if "customer" in told:
                probes.put((told["customer"], told["at"]))
            else:
                sent = told["sent"] / told["seconds"]
        if sender.wait():
            raise RuntimeError("the sender failed: see above")
    finally:
        if sender.poll() is None:
            sender.kill()
            sender.wait()
        for _ in probers:
            probes.put(None)
        for prober in probers:
            prober.join()
    return Probed(waits, sent)


def _ask(url: str, probes: "queue.Queue[Probe | None]", waits: list[float]) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=GIVE_UP_SECONDS)
    while (found := probes.get()) is not None:
        customer, sent = found
        status = 0
        while status != HTTPStatus.OK and time.monotonic() - sent < GIVE_UP_SECONDS:
            try:
                connection.request("GET", parts.path.format(customer))
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                connection.close()
            if status != HTTPStatus.OK:
                time.sleep(PAUSE_SECONDS)
        waits.append((time.monotonic() - sent) * 1_000)
    connection.close()
