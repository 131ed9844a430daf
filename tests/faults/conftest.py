"""Targets for the short runs: one of each broker for all runs of a file that do not start their own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.contract.brokers.every import start_or_skip
from tests.faults.brokers import TARGETS
from tests.faults.brokers.target import Target

Running = Callable[[str], Target]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a running target by its name; skips the test if it cannot be had, or fails it if CI is set."""
    targets: dict[str, Target] = {}
    with ExitStack() as stack:

        def get(name: str) -> Target:
            if name not in targets:
                target = TARGETS[name](tmp_path_factory.mktemp(name))
                start_or_skip(target)
                targets[name] = target
                stack.callback(target.stop)
            return targets[name]

        yield get
