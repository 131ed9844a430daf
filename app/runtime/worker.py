"""The worker process: one clear line and an exit code when it has to give up, and never a hang at the end."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from typing import Any, NoReturn

from faust.worker import Worker

from app.engine.errors import EngineError

LAST_RESORT_SECONDS = 8.0
"""A stop that takes longer than this after a failure is ended by force: a dead broker makes good-byes slow."""

GC_THRESHOLDS = (50_000, 500, 20)
"""A quarter less CPU per event on the full pipeline than with Python's own (700, 10, 10).

The first bounds a pause (some 1 µs per new object that lives on); the second makes the long passes over all objects
rare: one per 25 million new ones.
"""


class StepWorker(Worker):
    """Faust's worker; exits with 0 after a clean stop, else with the code of the error that ended it."""

    _failed: asyncio.Future[None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spinner = None  # it hides the cursor, and shows it again only after a clean start

    def execute_from_commandline(self) -> NoReturn:
        """Run until stopped or failed."""
        app: Any = self.app
        app.on_failure = self._give_up
        code = 0
        try:
            self._starting_fut = asyncio.ensure_future(self.start(), loop=self.loop)
            with contextlib.suppress(asyncio.CancelledError):
                self.loop.run_until_complete(self._starting_fut)
        except EngineError as error:
            app.fail(error)
        except Exception:
            self.log.exception("Error")
            code = 1
        try:
            self.on_worker_shutdown()
            self.stop_and_shutdown()
        except Exception:
            if app.failure is None:
                self.log.exception("Error while stopping")
                code = code or 1
        self._exit(app.failure.exit_code if app.failure is not None else code)

    async def on_startup_finished(self) -> None:
        """Keep the garbage collector from walking over everything again and again: a batch makes thousands of tuples.

        Rows are held as bytes, which it does not walk, so rare full collections stay short.
        """
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        await super().on_startup_finished()

    def _on_sigint(self) -> None:
        """Stop, without the line that would fail, and the stop with it, on a terminal that is gone."""
        self._flag_as_shutdown_by_signal()
        self._schedule_shutdown(signal.SIGINT)

    def _give_up(self, error: EngineError) -> None:
        """Say why, then stop in good order."""
        print(f"orderflow: error: {error}", file=sys.__stderr__, flush=True)  # not into the log: Faust redirects stderr
        timer = threading.Timer(LAST_RESORT_SECONDS, self._exit, (error.exit_code,))
        timer.daemon = True
        timer.start()
        if self.loop.is_running():
            self._failed = asyncio.ensure_future(self._stop_failed())

    async def _stop_failed(self) -> None:
        await self.stop()
        if self._starting_fut is not None and not self._starting_fut.done():
            self._starting_fut.cancel()

    def _exit(self, code: int) -> NoReturn:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def on_setup_root_logger(self, logger: Any, level: int) -> None:
        """Silence the libraries: aiokafka, several lines per 100 ms while a broker is away; Faust, two per service.

        What fails in a handler of ours is logged by `app.web.errors`.
        """
        super().on_setup_root_logger(logger, level)
        if level > logging.DEBUG:
            logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
            for library in ("faust", "mode"):
                logging.getLogger(library).setLevel(max(level, logging.WARNING))

    async def _sentinel_task(self) -> None:
        """Close the loop at once: Faust would wait a second here."""
