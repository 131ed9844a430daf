"""Ids of a path and parameters of a query, taken or refused."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Protocol

from app.delivery.selecting import Selection, is_id
from app.views import can_be_id
from app.web.errors import bad_parameter, unknown
from app.web.reading.revenue import STEPS
from models.errors import shown
from models.letters import CAUSES, STATES
from models.money import CURRENCIES

_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_MONTH_AND_DAY = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_HOUR_AND_MINUTE = "(?:[01][0-9]|2[0-3]){colon}[0-5][0-9]"
TIME = re.compile(
    f"(?:{_YEAR}-{_MONTH_AND_DAY}|{_LEAP_YEAR}-02-29)"
    f"(?:[T ]{_HOUR_AND_MINUTE.format(colon=':')}(?::[0-5][0-9](?:[.][0-9]{{1,6}})?)?"
    f"(?:Z|[+ -]{_HOUR_AND_MINUTE.format(colon=':?')})?)?"
)
"""A day or a time: each that there is. The plus sign of an offset arrives as a space unless it was percent-encoded."""


MOST_VALUES = 100
"""Of one parameter."""

CHOOSING = {
    "state": "states",
    "cause": "causes",
    "event_type": "event_types",
    "order_id": "order_ids",
    "customer_id": "customer_ids",
    "key": "keys",
}
"""Parameters, and the fields of a selection that they are."""


class Asking(Protocol):
    """What parameters are taken from: a request, for instance."""

    @property
    def path(self) -> str:
        """The path of the address."""

    @property
    def query(self) -> Mapping[str, str]:
        """Its parameters; a name may come several times."""

    @property
    def match_info(self) -> Mapping[str, str]:
        """The parts of the path that a route has names for."""


def id_in_path(request: Asking, kind: str) -> str:
    """Return the id that ends the path, of an order, customer or product; raises `ApiError` if it can be none's."""
    text: str = request.match_info["id"]
    if not can_be_id(text):
        raise unknown(kind, text)
    return text


def parameters(request: Asking, known: Collection[str] = ()) -> Mapping[str, str]:
    """Return the parameters; raises `ApiError` for an unknown one or one that is given twice.

    A misspelt parameter would else be ignored, and the answer be one to another question.
    """
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            takes = f"takes {', '.join(known)}" if known else "takes none"
            raise bad_parameter(shown(name), f"there is no such parameter; {request.path} {takes}"[:500])
        if name in given:
            raise bad_parameter(name, "is given twice")
        given[name] = value
    return given


def time_in(given: Mapping[str, str], name: str) -> datetime | None:
    """Return a time as UTC; one without an offset is UTC, a day begins at midnight."""
    text = given.get(name)
    if text is None:
        return None
    try:
        if not TIME.fullmatch(text):
            raise ValueError  # noqa: TRY301 - there are two ways to be no time, and one answer
        moment = datetime.fromisoformat(text[:11] + text[11:].replace(" ", "+"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        fault = f"must be a time such as 2026-11-21T12:00:00Z, or a day, got {shown(text)}"
        raise bad_parameter(name, fault) from error


def currency_in(given: Mapping[str, str]) -> str:
    """Return the currency; raises `ApiError`."""
    currency = given.get("currency")
    if currency is None:
        raise bad_parameter("currency", "is missing; say for instance ?currency=GBP")
    if currency not in CURRENCIES:
        raise bad_parameter("currency", f"must be a currency code of ISO 4217, got {shown(currency)}")
    return currency


def step_in(given: Mapping[str, str]) -> str:
    """Return the step of time; raises `ApiError`."""
    step = given.get("step", "1m")
    if step not in STEPS:
        raise bad_parameter("step", f"must be one of {', '.join(STEPS)}, got {shown(step)}")
    return step


def limit_in(given: Mapping[str, str], default: int, most: int) -> int:
    """Return how many are asked for; raises `ApiError`."""
    text = given.get("limit", str(default))
    if not re.fullmatch("[0-9]{1,8}", text) or not 1 <= int(text) <= most:
        raise bad_parameter("limit", f"must be a whole number from 1 to {most:,}, got {shown(text)}")
    return int(text)


def after_in(given: Mapping[str, str]) -> str:
    """Return the id of the letter that the asked ones come after, "": from the first on; raises `ApiError`."""
    after = given.get("after", "")
    if after and not is_id(after):
        raise bad_parameter("after", f"must be the id of a letter, got {shown(after)}")
    return after


def selection_in(given: Mapping[str, str]) -> Selection:
    """Return which letters parameters mean; raises `ApiError`."""
    chosen = {field: _values(name, given[name]) for name, field in CHOOSING.items() if given.get(name)}
    unknown_states = [state for state in chosen.get("states", ()) if state not in STATES]
    if unknown_states:
        raise bad_parameter("state", f"must be some of {', '.join(STATES)}, got {shown(unknown_states[0])}")
    unknown_causes = [cause for cause in chosen.get("causes", ()) if cause not in CAUSES]
    if unknown_causes:
        raise bad_parameter("cause", f"must be some of {', '.join(CAUSES)}, got {shown(unknown_causes[0])}")
    moments = {name: time_in(given, name) for name in ("since", "until")}
    times = {name: moment.timestamp() for name, moment in moments.items() if moment is not None}
    return Selection(**chosen, **times)  # type: ignore[arg-type]


def _values(name: str, text: str) -> tuple[str, ...]:
    """Return the values of a parameter that takes several; every letter is compared with each of them."""
    values = tuple(dict.fromkeys(text.split(",")))
    if len(values) > MOST_VALUES:
        raise bad_parameter(name, f"takes at most {MOST_VALUES} values")
    return values
