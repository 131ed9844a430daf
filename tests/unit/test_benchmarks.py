"""The benchmark's own arithmetic: CPU over a tree of processes, spread, what counts of a run, the order of rounds."""

import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.figures import Sample, Spread, drained, spread
from benchmarks.processes import ProcessEndedError, Session
from benchmarks.report import Table
from benchmarks.rounds import order_of
from benchmarks.workload import Workload
from tests.waiting import wait_until

BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"
LEAST, MOST = 0.9, 1.6
"""How far the CPU time of processes that burn a known time may be from it: starting Python costs some, too."""


def session(code: str, folder: Path) -> Session:
    return Session([sys.executable, "-c", code], folder / "log")


def test_cpu_is_that_of_the_process_its_children_and_those_that_have_ended(tmp_path: Path) -> None:
    """A parent, a child that has ended and a grandchild that runs on, 0.4 s each, give 1.2 s."""
    grandchild = BURN.format(seconds=0.4) + "print('burnt', flush=True)\ntime.sleep(60)"
    child = (
        f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {grandchild!r}])\n{BURN.format(seconds=0.4)}"
    )
    parent = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\n"
        f"{BURN.format(seconds=0.4)}print('burnt', flush=True)\ntime.sleep(60)"
    )
    with session(parent, tmp_path) as running:
        wait_until(lambda: running.text().count("burnt") == 2, 30, "parent and grandchild to burn", running.text)
        assert 1.2 * LEAST < running.cpu_seconds() < 1.2 * MOST


def test_cpu_of_a_process_whose_parent_is_gone_is_not_lost(tmp_path: Path) -> None:
    """A grandchild that nobody waits for keeps what was last seen of it."""
    orphan = BURN.format(seconds=0.4) + "print('burnt', flush=True)\ntime.sleep(1)"
    child = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {orphan!r}])"
    parent = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {child!r}])\ntime.sleep(60)"
    with session(parent, tmp_path) as running:
        wait_until(lambda: "burnt" in running.text(), 30, "the orphan to burn", running.text)
        before = running.cpu_seconds()
        wait_until(lambda: len(running._members()) == 1, 30, "the orphan to end", running.text)
        assert 0.4 * LEAST < before <= running.cpu_seconds() < before + 0.2


def test_cpu_never_falls_and_is_counted_once_while_processes_come_and_go(tmp_path: Path) -> None:
    """Time moves from children to their parent when they end: what the parent says of both is what was counted."""
    parent = (
        "import os, subprocess, sys, time\n"
        f"for _ in range(5): subprocess.run([sys.executable, '-c', {BURN.format(seconds=0.2)!r}])\n"
        "print('over', sum(os.times()[:4]), flush=True)\ntime.sleep(60)"
    )
    with session(parent, tmp_path) as running:
        seen = [running.cpu_seconds()]
        while "over" not in running.text():
            seen.append(running.cpu_seconds())
        assert all(before <= after for before, after in pairwise(seen))
        assert running.cpu_seconds() == pytest.approx(float(running.text().split()[-1]), abs=0.1)


def test_a_session_leaves_nobody_behind(tmp_path: Path) -> None:
    """Children that ignore SIGTERM and outlive their parent are ended too."""
    child = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"
    )
    parent = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(60)"
    with session(parent, tmp_path) as running:
        wait_until(lambda: "up" in running.text(), 30, "the child to start", running.text)
        assert len(running._members()) == 2
    wait_until(lambda: not running._members(), 10, "every process to end", running.text)


def test_a_candidate_that_has_ended_says_why(tmp_path: Path) -> None:
    """What it printed is in the error."""
    with session("raise SystemExit('no broker')", tmp_path) as running:
        running._process.wait(30)
        with pytest.raises(ProcessEndedError, match="ended with 1:\nno broker"):
            running.check_alive()


def test_rounds_change_the_order_and_give_each_candidate_each_place_once() -> None:
    """Over as many rounds as candidates, nobody always runs first, nor on an always warm machine."""
    for size in range(1, 9):
        rounds = [order_of(range(size), number) for number in range(size)]
        assert all(sorted(order) == list(range(size)) for order in rounds)
        for place in range(size):
            assert len({order[place] for order in rounds}) == size


def test_rounds_of_an_even_number_let_each_follow_each_other_once() -> None:
    """Whatever one candidate leaves to the next, it leaves to all of them."""
    for size in (2, 4, 6, 8):
        follows = Counter(pair for number in range(size) for pair in pairwise(order_of(range(size), number)))
        assert set(follows.values()) == {1}
        assert len(follows) == size * (size - 1)


def test_a_spread_is_median_least_and_greatest() -> None:
    """The median of an even number lies between the two in the middle."""
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([1.0, 2.0, 4.0, 9.0]) == Spread(3.0, 1.0, 9.0)


def run(*moves: tuple[float, int, float]) -> list[Sample]:
    return [Sample(*move) for move in moves]


def test_figures_are_taken_from_the_first_commit_to_the_last_one_before_the_end() -> None:
    """Waiting for partitions and for the last commit interval is no work; the whole run has both."""
    samples = run((12.0, 1_000, 1.0), (13.0, 2_000, 1.5), (14.0, 3_000, 2.0), (19.0, 3_100, 2.1))
    figures = drained(samples, started=10.0, total=3_100)
    assert figures.events == 3_100
    assert figures.rate == 1_000
    assert figures.cpu == pytest.approx(500)
    assert figures.cores == pytest.approx(0.5)
    assert figures.whole == 9.0


def test_the_first_seconds_and_the_later_ones_are_told_apart() -> None:
    """A JVM that does 1,000 a second for 8 s and 3,000 then shows both."""
    samples = run(*((float(at), 1_000 * at, 0.1 * at) for at in range(1, 10)))
    samples += run(*((9.0 + at, 9_000 + 3_000 * at, 0.9 + 0.1 * at) for at in range(1, 6)))
    figures = drained(samples, started=0.0, total=24_000)
    assert figures.first == pytest.approx(1_000)
    assert figures.later == pytest.approx(3_000)


@pytest.mark.parametrize(
    "samples",
    [
        run((1.0, 5, 0.1), (2.0, 5, 9.0)),
        run((1.0, 80, 0.1), (2.0, 90, 5.0), (3.0, 100, 9.0)),
        run((1.0, 10, 0.1), (2.0, 90, 0.2), (3.0, 100, 0.25)),
    ],
    ids=["one commit", "most in the first commit", "hardly any CPU time"],
)
def test_a_run_that_was_too_short_gives_no_figures(samples: list[Sample]) -> None:
    """What is chance is not printed."""
    with pytest.raises(ValueError, match="too short"):
        drained(samples, started=0.0, total=samples[-1].done)


def test_what_came_before_the_measurement_makes_no_run_too_short() -> None:
    """Rows that were to be there, for instance: however many they are, they are no part of what is measured."""
    samples = run((1.0, 1_000_010, 0.1), (2.0, 1_000_090, 5.0), (3.0, 1_000_100, 9.0))
    assert drained(samples, started=0.0, total=1_000_100, begin=1_000_000).rate == 80
    with pytest.raises(ValueError, match="too short"):
        drained(samples, started=0.0, total=1_000_100, begin=999_000)


def test_events_are_about_300_bytes_and_come_again_when_asked_for() -> None:
    """The second time they are the same ones, so their rows are there already."""
    workload = Workload(0, 500, again=700)
    lines = list(workload.lines())
    assert len(lines) == workload.total == 1_200
    assert lines[500:1_000] == lines[:500]
    assert 270 < sum(map(len, lines)) / len(lines) < 330
    assert workload.orders == sum(b'"order.created"' in line for line in lines[:500])


def test_a_table_is_aligned_and_shows_medians_with_their_spread() -> None:
    """One figure stands alone, several come with least and greatest, none is a dash."""
    table = Table("Speed", {"rate": 0, "CPU": 1}, ["a note"])
    table.add("one", spread([1_000.0, 2_000.0, 4_000.0]), 1.25)
    table.add("another", spread([7.0]), None)
    title, header, *rows = table.lines()[1:]
    assert title == "Speed"
    assert rows[0].split() == ["one", "2,000", "(1,000–4,000)", "1.2"]
    assert rows[1].split() == ["another", "7", "–"]
    assert len(header) == len(rows[0]) == len(rows[1])
    assert rows[2] == "  (a note)"
    assert table.data()["rows"][0]["rate"] == {"median": 2_000.0, "low": 1_000.0, "high": 4_000.0}


def test_time_is_taken_from_the_start_of_the_process(tmp_path: Path) -> None:
    """Start-up belongs to the whole run."""
    before = time.monotonic()
    with session("pass", tmp_path) as running:
        assert before <= running.started <= time.monotonic()
