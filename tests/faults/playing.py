"""Plays a plan on a stage: each track in a thread of its own, while somebody looks that no worker ends by itself."""

import json
import re
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.faults.brokers.target import Target
from tests.faults.moves import MOVES
from tests.faults.moves.move import Move
from tests.faults.plan import Event, Plan
from tests.faults.stage import Stage
from tests.faults.verdict import Verdict
from tests.faults.worker_logs import counts, errors

PROGRESS_SECONDS = 10.0
CHECK_SECONDS = 0.25

STUCK = re.compile("a transaction hangs there|cannot be read to its end|every record to be processed")
"""Failures that may be a broker's own: it hands out no more records. Nothing that is wrong ever is."""


def play(plan: Plan, folder: Path, target: Target | None = None) -> Verdict:
    """Play a plan and judge what came of it; whatever fails, fails the verdict. Its logs are in `folder`.

    Without a running `target` it starts one of its own.
    """
    verdict = Verdict(plan)
    stage = Stage(plan, folder, target)
    try:
        with stage:
            begin = time.monotonic()
            try:
                _Moves(stage, verdict).make()
                stage.settle()
                stage.crew.dismiss_all()
                verdict.outcomes = dict(sorted(stage.judge().outcomes.items()))
            except AssertionError as failure:
                verdict.reason = str(failure)
                stage.over.set()
                if STUCK.search(verdict.reason):
                    verdict.own_fault = stage.target.own_fault()
            finally:
                verdict.seconds = time.monotonic() - begin
                verdict.sent = len(stage.shop.sent) + len(stage.extra) + len(stage.unsure)
                verdict.told = counts(stage.scene.workers.all)
                verdict.errors = errors(stage.scene.workers.all)
                verdict.restarts = stage.crew.restarts
    except AssertionError as failure:
        verdict.reason = str(failure)
    left = stage.left_behind()
    if left and not verdict.reason:
        verdict.reason = "left behind: " + "; ".join(left)
    return verdict


def playable(names: Iterable[str], broker: str) -> list[Move]:
    """Return those of these moves that can be made on a broker, here; what this machine lacks for one is said."""
    moves = [MOVES[name] for name in names if broker in MOVES[name].brokers]
    for move in moves:
        if missing := move.missing():
            say(f"NOT PLAYED: {move.name}: {missing}")
    return [move for move in moves if not move.missing()]


def say(line: str) -> None:
    """Tell whoever waits how far it is."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class _Moves:
    def __init__(self, stage: Stage, verdict: Verdict) -> None:
        self._stage = stage
        self._verdict = verdict
        self._failures: list[BaseException] = []
        self._begin = time.monotonic()

    def make(self) -> None:
        """Return once all moves are made, and the plan's time is over; fails with the first that fails."""
        tracks: dict[str, list[Event]] = {}
        for event in self._stage.plan.events:
            tracks.setdefault(MOVES[event.move].track, []).append(event)
        threads = [threading.Thread(target=self._track, args=[events], name=track) for track, events in tracks.items()]
        for thread in threads:
            thread.start()
        try:
            self._look_on(threads)
        except BaseException:
            self._stage.over.set()
            raise
        finally:
            for thread in threads:
                thread.join()
        if self._failures:
            failure = self._failures[0]
            raise AssertionError(f"{type(failure).__name__}: {failure}") from failure

    def _look_on(self, threads: Sequence[threading.Thread]) -> None:
        told, end = self._begin, self._begin + self._stage.plan.seconds
        while not self._failures and (time.monotonic() < end or any(thread.is_alive() for thread in threads)):
            time.sleep(CHECK_SECONDS)
            self._stage.crew.check()
            if time.monotonic() > told + PROGRESS_SECONDS:
                told = time.monotonic()
                self._say(json.dumps(self._stage.status()))
        if self._failures:
            self._stage.over.set()

    def _track(self, events: Sequence[Event]) -> None:
        try:
            for event in events:
                self._stage.wait(max(0.0, self._begin + event.at - time.monotonic()))
                if self._stage.over.is_set() or time.monotonic() > self._begin + self._stage.plan.seconds:
                    return  # what could not begin in time is not begun: a slow machine makes fewer moves
                self._say(f"{event.move} {json.dumps(event.choice)}")
                effective = MOVES[event.move].play(self._stage, event.choice)
                self._verdict.played[event.move] += 1
                self._verdict.effective[event.move] += effective
        except BaseException as failure:  # noqa: BLE001 - handed on to the main thread
            self._failures.append(failure)

    def _say(self, line: str) -> None:
        say(f"{time.monotonic() - self._begin:7.1f} s  {line}")
