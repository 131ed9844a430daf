"""A plain Faust app (tests/apps/words.py) as its users run it: real `faust` commands, looked into by its own page."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.waiting import wait_until
from tools.local_kafka import free_port

ROOT = Path(__file__).resolve().parents[2]
FAUST = [sys.executable, "-m", "faust", "-A", "tests.apps.words"]


class PlainWorker:
    """One worker of the app."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        port = free_port()
        self._page = f"http://127.0.0.1:{port}/state/"
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*FAUST, "worker", "-l", "info", "--web-port", str(port), "--web-host", "127.0.0.1"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        """Everything it has printed so far."""
        return self._log.read_text(errors="replace")

    @property
    def state(self) -> dict[str, Any]:
        """What its page shows; nothing while it does not answer."""
        found: dict[str, Any] = {"counts": {}, "found_in": {}, "handled": [], "ready": False}
        with suppress(URLError, ConnectionError, TimeoutError), urlopen(self._page, timeout=5) as answer:  # noqa: S310 - http, as above
            found = json.load(answer)
        return found

    def until(self, condition: Callable[[dict[str, Any]], object], seconds: float = 60) -> dict[str, Any]:
        """Wait until its state is such, and return it."""
        seen: list[dict[str, Any]] = []

        def holds() -> bool:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}\n{self.output}"
            seen[:] = [self.state]
            return bool(condition(seen[0]))

        wait_until(holds, seconds, "the state of a worker", lambda: f"{seen}\n{self.output[-6000:]}")
        return seen[0]

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 20) -> None:
        """Stop it in good order."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(seconds)


class Plain:
    """The app under a name of its own, on one broker."""

    def __init__(self, folder: Path, broker: str, session: float, **more: str) -> None:
        self.folder = folder
        self.name = f"words-{time.time_ns():x}"
        ours = {"WORDS_ID": self.name, "WORDS_BROKER": broker, "WORDS_FOLDER": str(folder / "data")}
        others = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
        self.environment = others | ours | {"WORDS_SESSION": str(session)} | more
        self._workers: list[PlainWorker] = []

    def worker(self) -> PlainWorker:
        """Start a worker."""
        started = PlainWorker(self.environment, self.folder / f"worker-{len(self._workers)}.log")
        self._workers.append(started)
        return started

    def run(self, *arguments: str) -> str:
        """Run another command of the app to its end; returns what it printed."""
        done = subprocess.run(
            [*FAUST, *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def feed(self, first: int, end: int) -> None:
        """Send the lines of these numbers."""
        self.run("feed", str(first), str(end))


@contextmanager
def plain(folder: Path, broker: str, session: float = 2.0, **more: str) -> Iterator[Plain]:
    """Run the app; whatever still runs at the end is killed."""
    app = Plain(folder, broker, session, **more)
    try:
        yield app
    finally:
        for worker in app._workers:
            worker.kill()
