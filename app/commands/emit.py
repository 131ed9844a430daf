"""`faust -A app emit`: sends order events from files, standard input or the sample generator. Only the command line."""

import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import click
import faust
from faust.cli import argument, option
from tqdm import tqdm

from app.commands._command import INTERRUPTED, Command
from app.commands._lines import STDIN, LinesError, check_readable, read_lines
from app.commands._sending import OpenSender, Sending, chunked
from app.engine.errors import EngineError
from app.sources.samples import sample_events

USAGE = 2

_SHARE = click.FloatRange(0, 1)
_ONLY_WITH_SAMPLE = ("seed", "customers", "invalid", "duplicates")

OPTIONS = (
    argument("files", nargs=-1, metavar="[FILE…|-]"),
    option("--sample", type=click.IntRange(min=0), metavar="N", help="Send N made-up events instead of files."),
    option("--seed", type=click.IntRange(0, 2**32 - 1), metavar="S", help="Which sample; the same for the same S (1)."),
    option(
        "--customers", type=click.IntRange(min=0), metavar="K", help="Customers in the sample (1000; 0: one per order)."
    ),
    option("--invalid", type=_SHARE, metavar="P", help="Share of broken records in the sample, 0 to 1 (0)."),
    option("--duplicates", type=_SHARE, metavar="P", help="Share of events that are sent twice, 0 to 1 (0)."),
    option("--rate", type=click.FloatRange(0, min_open=True), metavar="R", help="Send at most R events a second."),
)


def register(app: faust.App, open_sender: OpenSender, topic: str) -> None:
    """Add the command to `app`: it sends to `topic` with what `open_sender` opens."""

    @app.command(*OPTIONS, base=Command)
    async def emit(self: Any, files: tuple[str, ...], sample: int | None, rate: float | None, **sampling: Any) -> int:
        """Send order events, one JSON object a line, and wait for the broker to acknowledge them.

        Lines are sent as they are, keyed by their customer_id; blank lines are left out. What is wrong with a line is
        found out by the worker, which makes a dead letter of it.

        \b
        Examples:
          faust -A app emit samples/orders.jsonl
          faust -A app emit monday.jsonl tuesday.jsonl
          tail -F shop.log | faust -A app emit -
          faust -A app emit --sample 10000
          faust -A app emit --sample 500 --invalid 0.02 --duplicates 0.02
          faust -A app emit --sample 100000 --customers 50 --seed 7 --rate 200

        \b
        Exit codes: 0 all acknowledged; 2 a file cannot be read or the options
        make no sense; 130 Ctrl-C; any other: not all acknowledged, or no broker.
        """  # noqa: D301 - click leaves a paragraph as it is after this very character
        try:
            chunks = _source(files, sample, sampling)
        except LinesError as error:
            self.complain(str(error))
            return USAGE
        return await _send(self, Sending(open_sender, topic, chunks, rate), sample)


def _source(files: Sequence[str], sample: int | None, sampling: dict[str, Any]) -> AsyncIterator[Sequence[bytes]]:
    """Return what is to be sent; raises click.UsageError and `LinesError`."""
    given = {name: value for name, value in sampling.items() if name in _ONLY_WITH_SAMPLE and value is not None}
    if sample is None:
        if given:
            raise click.UsageError(f"--{next(iter(given))} goes with --sample.")
        if not files:
            raise click.UsageError("Say what to send: files, - for standard input, or --sample N.")
        if files.count(STDIN) > 1:
            raise click.UsageError("Standard input (-) can be read once only.")
        check_readable(files)
        return read_lines(files)
    if files:
        raise click.UsageError("Send either files or a --sample, not both.")
    try:
        return chunked(sample_events(sample, **given))
    except ValueError as error:
        raise click.UsageError(f"--invalid and --duplicates: {error}.") from error


async def _send(command: Any, sending: Sending, total: int | None) -> int:
    """Send, show how far it is, and return the exit code."""
    code, fault = 0, ""
    with tqdm(total=total, unit=" events", file=sys.stderr, disable=not sys.stderr.isatty(), leave=False) as bar:

        def show() -> None:
            bar.update(sending.acknowledged - bar.n)

        try:
            await sending.run(command.interrupted, show)
        except LinesError as error:
            code, fault = USAGE, str(error)
        except EngineError as error:
            code, fault = error.exit_code, str(error)
    expected = sending.taken if total is None else total
    if sending.connected:
        command.say(f"acknowledged {sending.acknowledged} of {expected}")
    if fault:
        command.complain(fault)
    elif command.interrupted.is_set():
        code = INTERRUPTED
    elif sending.acknowledged < expected:
        code = 1
        command.complain(f"{expected - sending.acknowledged} records were not acknowledged by the broker")
    return code
