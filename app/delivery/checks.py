"""A team's own check of each event, before it counts: a call that may take its time, and may fail for the moment.

`ORDERS_CHECK=package.module:function` names it: `async def function(event: models.events.Event) -> None`. It lets an
event pass by returning; what it raises says otherwise:

- `TryAgain`, or a lost connection, or no answer in time: the event is kept as a letter and checked again later;
- `Refuse`: the event is a dead letter with cause `check_refused`;
- anything else is a fault of the check: a dead letter with cause `handler_failed`, mended and sent again by hand.

It may be called more than once for an event, as after a crash. Calls for one partition run side by side.
"""

import asyncio
import importlib
import inspect
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from email.utils import parsedate_to_datetime

from app.delivery.dead_letters import Failure, failure_of, message_of, names_of
from app.delivery.fault import Fault, Transient
from app.engine.errors import Unusable
from models.events import Event

Check = Callable[[Event], Awaitable[object]]

IN_VAIN = 20
"""After so many failures in a row, and none that went well between them, the rest of a step is not tried now."""


class TryAgain(Exception):
    """The check could not be made now.

    `retry_after`: when to try again at the earliest, as the HTTP header of that name has it: in so many seconds, or at
    a date. What is neither is passed over.
    """

    def __init__(self, message: str, retry_after: float | str | None = None) -> None:
        super().__init__(message)
        self.retry_after = _seconds(retry_after)


class Refuse(Exception):
    """The check says no, for good; the text says why."""


class Failures:
    """How many calls have failed in a row, in one step."""

    def __init__(self) -> None:
        self.count = 0


class Checks:
    """Calls a check for many events at once, at most `at_once` of them, each for at most `seconds`."""

    def __init__(self, check: Check, at_once: int, seconds: float) -> None:
        self._check = check
        self._room = asyncio.Semaphore(at_once)
        self._seconds = seconds

    async def faults(self, events: Sequence[Event | None], failures: Failures) -> list[Fault | None]:
        """Return what is wrong with each event, None where nothing is; None is not checked.

        `failures` are those of the same step before.
        """

        async def checked(event: Event | None) -> Fault | None:
            if event is None:
                return None
            async with self._room:
                if failures.count >= IN_VAIN:
                    return _not_now(event, f"not called: the last {IN_VAIN} calls failed", None, tried=False)
                fault = await self._fault(event)
            failures.count = failures.count + 1 if isinstance(fault, Transient) else 0
            return fault

        return await asyncio.gather(*map(checked, events))

    async def _fault(self, event: Event) -> Fault | None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._check(event)
        except TryAgain as error:
            return _not_now(event, message_of(error), error.retry_after)
        except OSError as error:  # which a TimeoutError is too
            late = f"no answer within {self._seconds:g} s" if isinstance(error, TimeoutError) else ""
            return _not_now(event, late or message_of(error, name=True), None)
        except Refuse as error:
            return failure_of(error, event)._replace(cause="check_refused", message=message_of(error), stacktrace=None)
        except (Exception, asyncio.CancelledError, BaseExceptionGroup, SystemExit) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # it is we who are to end
            return failure_of(error, event)
        return None


def _not_now(event: Event, message: str, retry_after: float | None, *, tried: bool = True) -> Transient:
    return Transient(Failure("check_failed", message, *names_of(event)), retry_after, tried)


def _seconds(retry_after: float | str | None) -> float | None:
    """Return how many seconds to wait, None if that is not said, or cannot be."""
    try:
        seconds = float(retry_after or 0.0)
    except (TypeError, ValueError, OverflowError):
        try:
            seconds = parsedate_to_datetime(str(retry_after)).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return seconds if 0 < seconds < math.inf else None


def load_check(path: str) -> Check:
    """Return the function that `package.module:function` names; raises `Unusable` if there is none such."""
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise Unusable(f"ORDERS_CHECK={path} cannot be imported ({error}); write package.module:function") from error
    if not inspect.iscoroutinefunction(found):
        raise Unusable(f"ORDERS_CHECK={path} is no `async def` function")
    check: Check = found
    return check
