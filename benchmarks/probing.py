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

from benchmarks.candidates.candidate import Place, Worker
from benchmarks.changelog import ChangelogReader
from benchmarks.processes import ROOT
from benchmarks.sender import PROBE_PREFIX

PROBERS = 4
ASK_EVERY = 0.004
"""Seconds between two questions, of all probers together: however many probes wait, asking costs a candidate the same.

With 20 probes a second, a wait is found up to a twelfth, and 4 ms, too long.
"""
GIVE_UP_SECONDS = 30.0

Probe = tuple[str, float]


class Questions:
    """The probes that are not there yet, asked for in turn and at a steady pace. Used by several threads."""

    def __init__(self) -> None:
        self._probes: queue.Queue[Probe] = queue.Queue()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._next = 0.0
        self.waits: list[float] = []

    def put(self, probe: Probe) -> None:
        """Add a probe, or put one back that was not there."""
        self._probes.put(probe)

    def get(self) -> Probe | None:
        """Return the next one to ask for, when it may be asked for; None once all were answered."""
        probe: Probe | None = None
        while probe is None:
            try:
                probe = self._probes.get(timeout=ASK_EVERY)
            except queue.Empty:
                if self._ended.is_set():
                    return None
        with self._lock:
            at = self._next = max(self._next + ASK_EVERY, time.monotonic())
        time.sleep(max(0.0, at - time.monotonic()))
        return probe

    def end(self) -> None:
        """Say that no more probes come: who asks goes on until all were answered."""
        self._ended.set()


class Probed(NamedTuple):
    """How long each probe took until it could be read, in ms, and how many events per second were really sent.

    `committed` is the same until it could be read in the changelog by who reads only what is committed.
    """

    waits: list[float]
    rate: float
    committed: list[float]


def probe(place: Place, worker: Worker, rate: int, seconds: float) -> Probed:
    """Send for so long, and ask for each probe over kept connections until it is there.

    A probe that takes longer than GIVE_UP_SECONDS counts as that long. Raises RuntimeError if the sender fails.
    """
    if worker.changelog is None:
        return Probed(*_probe(place, worker, rate, seconds)[:2], [])
    with ChangelogReader(worker.changelog, PROBE_PREFIX) as reader:
        waits, sent, begins = _probe(place, worker, rate, seconds)
        reader.wait_for(set(begins), GIVE_UP_SECONDS)
        ends = dict.fromkeys(begins, time.monotonic()) | reader.seen
        return Probed(waits, sent, [(ends[customer] - at) * 1_000 for customer, at in begins.items()])


def _probe(place: Place, worker: Worker, rate: int, seconds: float) -> tuple[list[float], float, dict[str, float]]:
    """Return the waits and the rate of `Probed`, and when each probe was sent."""
    assert worker.customer_url is not None
    begins: dict[str, float] = {}
    questions = Questions()
    probers = [threading.Thread(target=_ask, args=(worker.customer_url, questions)) for _ in range(PROBERS)]
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
                begins[told["customer"]] = told["at"]
                questions.put((told["customer"], told["at"]))
            else:
                sent = told["sent"] / told["seconds"]
        if sender.wait():
            raise RuntimeError("the sender failed: see above")
    finally:
        if sender.poll() is None:
            sender.kill()
            sender.wait()
        questions.end()
        for prober in probers:
            prober.join()
    return questions.waits, sent, begins


def _ask(url: str, questions: Questions) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=GIVE_UP_SECONDS)
    while (found := questions.get()) is not None:
        customer, sent = found
        there = False
        try:
            connection.request("GET", parts.path.format(customer))
            answer = connection.getresponse()
            answer.read()
            there = answer.status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            connection.close()
        waited = time.monotonic() - sent
        if there or waited > GIVE_UP_SECONDS:
            questions.waits.append(waited * 1_000)
        else:
            questions.put(found)
    connection.close()
