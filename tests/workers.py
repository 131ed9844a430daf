"""Real workers as child processes (`faust -A app worker`): started, killed, paused, stopped. Knows no orders."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.waiting import wait_until
from tools.local_kafka import free_port

ROOT = Path(__file__).parents[1]
FAUST = Path(sys.executable).parent / "faust"
LOG_LINES = 40


class Worker:
    """A worker on a port of its own, which it keeps over restarts; its output goes to `log`.

    `settings` are its environment beyond ours (ORDERS_…); without a data folder among them it gets one of its own.
    """

    def __init__(self, name: str, folder: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.port = free_port()
        self.log = folder / f"{name}.log"
        own = {"ORDERS_WEB_PORT": str(self.port), "ORDERS_DATA_DIR": str(folder / f"{name}-data")}
        self._settings = own | dict(settings)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment, for commands that should see what the worker sees."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
        return others | self._settings

    @property
    def url(self) -> str:
        """Where it serves HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process runs (a paused one does)."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, once it has ended."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> Self:
        """Start the process, without waiting for it to be ready."""
        assert not self.alive, f"{self.name} runs already"
        command = [str(FAUST), "-A", "app", "worker", "-l", "info", "--web-port", str(self.port)]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self._signal(signal.SIGKILL)
        self._wait(10)

    def pause(self) -> None:
        """Suspend it (SIGSTOP): to others it looks dead, but it will wake up and think that no time has passed."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def stop(self, seconds: float = 15) -> float:
        """Stop it in good order (SIGTERM); returns how many seconds that took. Fails unless it exits with 0."""
        begin = time.monotonic()
        self._signal(signal.SIGTERM)
        self._wait(seconds)
        took = time.monotonic() - begin
        assert self.exit_code == 0, f"{self.name} exited with {self.exit_code} after SIGTERM\n{self.tail()}"
        return took

    def end(self) -> None:
        """Make sure that it is gone, in whatever state it is."""
        if self.alive:
            self.kill()

    def tail(self) -> str:
        """Return the end of its log, for messages."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return f"--- {self.log.name}\n" + "\n".join(lines[-LOG_LINES:])

    def command(
        self, *arguments: str, seconds: float = 60, output: IO[bytes] | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run another command of the application (`faust -A app …`) with this worker's settings.

        Its output goes to a file, or is returned.
        """
        return subprocess.run(
            [str(FAUST), "-A", "app", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _wait(self, seconds: float) -> None:
        wait_until(lambda: not self.alive, seconds, f"the end of {self.name}", self.tail)


class Workers:
    """The workers of one test, all with the same settings; as a context manager it leaves none behind."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._settings = dict(settings)
        self.all: list[Worker] = []

    def start(self, count: int = 1) -> list[Worker]:
        """Start `count` more."""
        new = [Worker(f"worker-{len(self.all) + n}", self._folder, self._settings) for n in range(count)]
        self.all += new
        return [worker.start() for worker in new]

    def check(self) -> None:
        """Fail if one has ended by itself."""
        for worker in self.all:
            assert worker.exit_code in {None, 0, -signal.SIGKILL}, (
                f"{worker.name} ended with exit code {worker.exit_code}\n{worker.tail()}"
            )

    def tails(self) -> str:
        """Return the ends of all logs, for messages."""
        return "\n".join(worker.tail() for worker in self.all)

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End every one."""
        for worker in self.all:
            worker.end()
