"""What workers' logs tell of a run: claims, commits fenced, refused or of unknown outcome."""

import re
from collections import Counter
from collections.abc import Iterable

from tests.workers import Worker

CLAIMED = re.compile(r"Partition \d+: claimed, ")
TELLING = {
    "claims": CLAIMED,
    "fenced": re.compile(r"Partition \d+: (another worker claimed it|the server has offset)"),
    "unknown": re.compile(r"the next claim tells"),
    "reads given up": re.compile(r"; claiming it again"),
    "refused": re.compile(r"takes no writes now"),
    "steps dropped": re.compile(r"the step in flight took longer"),
    "went back": re.compile(r"the server went back"),
    "handler failed": re.compile(r"the handler failed"),
}


def counts(workers: Iterable[Worker]) -> Counter[str]:
    """Return how often each thing is told of."""
    found: Counter[str] = Counter()
    for worker in workers:
        if worker.log.exists():
            with worker.log.open(errors="replace") as lines:
                for line in lines:
                    found.update(name for name, pattern in TELLING.items() if pattern.search(line))
    return found


def errors(workers: Iterable[Worker]) -> Counter[str]:
    """Return the last lines of all tracebacks: what no worker should ever print."""
    found: Counter[str] = Counter()
    for worker in workers:
        if worker.log.exists():
            with worker.log.open(errors="replace") as lines:
                inside = False
                for line in lines:
                    inside = inside or line.startswith("Traceback ")
                    if inside and not line.startswith(("Traceback ", " ")) and line.strip():
                        found[line.strip()[:160]] += 1
                        inside = False
    return found


def claims(workers: Iterable[Worker]) -> int:
    """Return how often partitions were claimed."""
    return counts(workers)["claims"]
