"""What redrive and purge share: asking for a deed by records of the orders topic, and waiting until it is done."""

import asyncio
import getpass
import math
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import click
from faust.cli import argument, option

from app.commands._command import INTERRUPTED, Command
from app.commands._sending import OpenSender
from app.commands._state import OpenState
from app.commands.dead_letters._letters import CHOOSING, check_ids, read_letters
from app.delivery.actions import MOST_BY, Action, Deed, asked_at, now_text, record_of
from app.delivery.mending import MendingError
from app.delivery.selecting import Selection, partition_of
from models.letters import STATES, Letter

AT_ONCE = 500
"""Most letters in one record."""
LOOK_SECONDS = 0.5
MOST_TOLD = 10
REFUSED = "refused"
NOT_DONE = 1


class Seconds(click.FloatRange):
    """A number of seconds, none of them not a number."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return it."""
        seconds: float = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is no number of seconds", param, ctx)
        return seconds

    def __init__(self) -> None:
        super().__init__(min=0)


ACTING = (
    argument("ids", nargs=-1, metavar="[ID]…"),
    *CHOOSING,
    option("--everything", is_flag=True, help="Mean all open letters, if nothing else says which."),
    option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many: the first ones that came."),
    option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="R", help="At most R letters a second."),
    option("--by", metavar="NAME", help="Who asks; default: user@host."),
    option("--dry-run", is_flag=True, help="Only print which letters are meant."),
    option(
        "--wait",
        type=Seconds(),
        default=30.0,
        metavar="SECONDS",
        help="How long to wait for it (30; 0: not at all).",
    ),
)

Letters = Mapping[str, Letter]


class How(NamedTuple):
    """What the options besides those of the choice say."""

    ids: Sequence[str]
    everything: bool
    limit: int | None
    rate: float | None
    by: str | None
    dry_run: bool
    wait: float

    @classmethod
    def of(cls, options: dict[str, Any]) -> tuple["How", Selection]:
        """Return them and which letters are meant; raises a usage error if that is not said."""
        how = cls(*(options.pop(name) for name in cls._fields))
        check_ids(how.ids)
        if not how.ids and not how.everything and not any(options.values()):
            raise click.UsageError("say which letters: ids, --cause, --order-id … or --everything.")
        return how, Selection(frozenset(how.ids), **options)


class Deeds:
    """One deed on some letters, for one run of a command."""

    def __init__(
        self, command: Command, deed: Deed, open_state: OpenState, open_sender: OpenSender, topic: str, app_id: str
    ) -> None:
        self._command = command
        self._deed = deed
        self._open_state = open_state
        self._open_sender = open_sender
        self._topic = topic
        self._app_id = app_id
        self._asked: dict[str, tuple[str, str]] = {}

    async def do(
        self,
        options: dict[str, Any],
        why_not: Callable[[str, Letter | None], str | None],
        value_of: Callable[[Letter], bytes | None] = lambda _: None,
    ) -> int:
        """Do it on the letters that options name; returns the exit code.

        `why_not` says why it cannot be done on a letter, `value_of` what its value is to be instead, None: as it is.
        """
        how, selection = How.of(options)
        async with self._open_state() as state:
            found = await read_letters(self._command, state, selection)
        hopeless = [reason for name in how.ids if (reason := why_not(name, found.get(name)))]
        letters: dict[str, Letter] = {}
        values: dict[str, bytes] = {}
        for name, letter in found.items():
            if why_not(name, letter) is None and len(letters) < (how.limit or len(found)):
                try:
                    value = value_of(letter)
                except MendingError as error:
                    hopeless.append(f"letter {name}: {error}")
                    continue
                letters[name] = letter
                values |= {} if value is None else {name: value}
        for reason in hopeless:
            self._command.complain(reason)
        if how.dry_run:
            self._tell(letters, values)
        elif letters:
            await self._ask(letters, values, how)
            if self._command.interrupted.is_set():
                self._command.say(f"asked for {len(self._asked)} of {len(letters)} letters")
                return INTERRUPTED
            if not await self._report(how.wait):
                return NOT_DONE
        elif not hopeless:
            self._command.say("no letters are meant")
        return NOT_DONE if hopeless else 0

    def _tell(self, letters: Letters, values: Mapping[str, bytes]) -> None:
        for name, letter in letters.items():
            mended = values.get(name, b"").decode(errors="replace")
            self._command.say("  ".join([name, letter.state, letter.cause, letter.order_id or "", mended]).rstrip())
        self._command.say(f"{self._deed} would be asked for {len(letters)} letters")

    async def _ask(self, letters: Letters, values: Mapping[str, bytes], how: How) -> None:
        by = (how.by or _user()).encode(errors="replace").decode()[:MOST_BY]
        async with self._open_sender() as sender:
            started = time.monotonic()
            for names in _portions(letters, values, 1 if how.rate else AT_ONCE):
                if how.rate:
                    ahead = started + len(self._asked) / how.rate - time.monotonic()
                    await self._pause(max(0.0, ahead))
                if self._command.interrupted.is_set():
                    break
                action = Action(self._deed, list(names), by, now_text(), self._app_id, values.get(names[0]))
                partition = partition_of(names[0], letters[names[0]])
                await sender.send(self._topic, None, *record_of(action), partition)
                self._asked |= dict.fromkeys(names, (by, action.at))
            await sender.flush()

    async def _report(self, seconds: float) -> bool:
        """Wait until it is done, and say what came of it; returns whether all of it was done, and nothing failed."""
        command, count = self._command, len(self._asked)
        if not seconds:
            command.say(f"asked for {count} letters; they are not waited for")
            return True
        deadline = time.monotonic() + seconds
        async with self._open_state() as state:
            while True:
                now = await read_letters(command, state, Selection(frozenset(self._asked), STATES))
                ends = {name: end for name in self._asked if (end := self._end_of(name, now.get(name)))}
                if len(ends) == count or command.interrupted.is_set() or time.monotonic() > deadline:
                    break
                await self._pause(LOOK_SECONDS)
        told = ", ".join(f"{number} {end}" for end, number in sorted(Counter(ends.values()).items()))
        command.say(f"{self._deed}: {len(ends)} of {count} done" + (f": {told}" if told else ""))
        failed = [name for name, end in ends.items() if end in (REFUSED, "dead")]
        for name in failed[:MOST_TOLD]:
            command.complain(f"letter {name}: " + (now[name].error if ends[name] == "dead" else "it was closed before"))
        if len(failed) > MOST_TOLD:
            command.complain(f"… and {len(failed) - MOST_TOLD} more: see dead-letters list")
        if len(ends) < count:
            command.complain(f"no worker has done the rest within {seconds:g} s; it is done as soon as one does")
        return len(ends) == count and not failed

    def _end_of(self, name: str, now: Letter | None) -> str | None:
        """Return what became of a letter, None while that is not known."""
        if now is None:
            return None if self._deed == "redrive" else "deleted"  # a redriven one is on its way to another partition
        by, at = self._asked[name]
        ours = any(entry.by == by and entry.detail == asked_at(at) for entry in now.history)
        if not ours:
            return None if now.open else REFUSED
        return None if _is_due(now) else now.state

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._command.interrupted.wait()
        except TimeoutError:
            pass


def _is_due(letter: Letter) -> bool:
    return letter.due_at is not None and letter.due_at <= time.time()


def _user() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _portions(letters: Letters, values: Mapping[str, bytes], most: int) -> Sequence[Sequence[str]]:
    """Return letters in portions of one partition each; one with another value goes alone."""
    portions: list[list[str]] = []
    for name, letter in letters.items():
        last = portions[-1] if portions else []
        together = last and len(last) < most and name not in values and last[0] not in values
        if together and partition_of(last[0], letters[last[0]]) == partition_of(name, letter):
            last.append(name)
        else:
            portions.append([name])
    return portions
