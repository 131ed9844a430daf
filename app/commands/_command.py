"""What every sub-command of `faust -A app` has in common: one asyncio run, signals, exit codes, errors in one line.

Faust would start a worker service around a command; a plain run ends without its delays and its own output.
"""

import asyncio
import logging
import os
import signal
import sys
from typing import Any, ClassVar, NoReturn

import click
from faust.cli import AppCommand

from app.engine.errors import EngineError

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as a shell has it."""

CLOSED_PIPE = 141
"""Exit code when whoever reads the output has seen enough: 128 + SIGPIPE."""


class Command(AppCommand):
    """Base of the commands; to be passed to `app.command(*options, base=Command)`.

    The body returns its exit code (None: 0). Ctrl-C and SIGTERM set `interrupted`; a second one ends it at once.
    """

    abstract: ClassVar[bool] = True

    interrupted: asyncio.Event

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Run the command and leave with its exit code."""
        logging.basicConfig(level=self.state.loglevel or logging.CRITICAL + 1)
        try:
            code = asyncio.run(self._run_until_done())
        except click.UsageError as error:
            error.ctx = error.ctx or self.ctx
            error.show(self.stderr)
            code = error.exit_code
        except EngineError as error:
            self.complain(str(error))
            code = error.exit_code
        except KeyboardInterrupt:
            code = INTERRUPTED
        except BrokenPipeError:
            # What is still in the buffer must have somewhere to go when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = CLOSED_PIPE
        sys.exit(code)

    def complain(self, message: str) -> None:
        """Print one line about what went wrong, to standard error."""
        print(f"{self.ctx.info_name}: error: {' '.join(message.split())}", file=self.stderr)

    async def _run_until_done(self) -> int:
        self.interrupted = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            return await self.run(*self.args, **self.kwargs) or 0
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            await self.on_stop()

    def _on_signal(self, number: signal.Signals) -> None:
        self.interrupted.set()
        asyncio.get_running_loop().remove_signal_handler(number)
