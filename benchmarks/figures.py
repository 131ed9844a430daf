"""The arithmetic of the results: samples of a run to figures, figures of rounds to median and spread. Pure."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

FIRST_SECONDS = 8.0
"""How long a JVM is given to compile what it runs often; what was done in it is shown beside the rest."""
ENOUGH = 0.5
"""Share of the events that must lie between the two commits that figures are taken from."""
LEAST_CPU = 0.2
"""CPU seconds that must: the kernel counts in steps of 0.01 s."""

TOO_SHORT = "the run was too short to measure: {}; use more events"


class Sample(NamedTuple):
    """How far a candidate was at a moment: events committed, CPU seconds used; `at` in seconds, monotonic."""

    at: float
    done: int
    cpu: float


class Drained(NamedTuple):
    """What one run gave. Rates in events per second, CPU in µs per event, `cores` and seconds as they are.

    `first` is the rate of the first 8 s, `later` that of the time after them, None where a run was too short.
    """

    events: int
    rate: float
    cpu: float
    cores: float
    first: float
    later: float | None
    whole: float


class Spread(NamedTuple):
    """The figures of some rounds."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return median, least and greatest."""
    return Spread(statistics.median(values), min(values), max(values))


def drained(samples: Sequence[Sample], started: float, total: int, begin: int = 0) -> Drained:
    """Return the figures of a run that began at `started` and went on until `total` events were committed.

    `samples` are of the time after event `begin`. Figures are taken from the first commit to the last one before the
    end: in between the candidate was never without work, however seldom it commits. Raises ValueError if too little
    lies between them: a figure would be chance.
    """
    moves = [sample for at, sample in enumerate(samples) if sample.done > (samples[at - 1].done if at else 0)]
    if len(moves) < 2:
        raise ValueError(TOO_SHORT.format("fewer than two commits were seen"))
    first, last, end = moves[0], moves[-2], moves[-1]
    if last.done - first.done < ENOUGH * (end.done - first.done) or end.done < total:
        last = end
    if last.done - first.done < ENOUGH * (end.done - begin):
        raise ValueError(TOO_SHORT.format(f"the first commit seen was at {first.done:,} of {end.done:,} events"))
    if last.cpu - first.cpu < LEAST_CPU:
        raise ValueError(TOO_SHORT.format(f"it took {last.cpu - first.cpu:.2f} s of CPU time"))
    warm = [sample for sample in moves if sample.at <= first.at + FIRST_SECONDS][-1]
    if warm is first:
        warm = moves[1]
    seconds, events = last.at - first.at, last.done - first.done
    return Drained(
        events=end.done,
        rate=events / seconds,
        cpu=(last.cpu - first.cpu) / events * 1e6,
        cores=(last.cpu - first.cpu) / seconds,
        first=(warm.done - first.done) / (warm.at - first.at),
        later=(last.done - warm.done) / (last.at - warm.at) if last.at - warm.at >= 1 else None,
        whole=end.at - started,
    )
