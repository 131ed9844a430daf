"""The types of an event's fields: how a value may be written, what it must be, and the words for one that is not.

Each rule stands here once: events.py uses the types for one value, columns.py for whole columns of them. They are
made so that pydantic needs no Python code for a value in its usual form.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, StrictInt, StrictStr, StringConstraints
from pydantic_core import CoreSchema, core_schema

from models.money import AMOUNT_LIMIT, AMOUNT_PATTERN, CURRENCIES


class Rule:
    """Says in words what a value must be: the message of every way in which it can fail."""

    def __init__(self, words: str) -> None:
        self._words = words

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(handler(source), "rule", custom_error_message=self._words)


class Written:
    """Says how a value may be written. Only then comes the type it annotates, which reads and bounds it."""

    def __init__(self, form: Any, words: str) -> None:
        self._form = Annotated[form, Rule(words)]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.chain_schema([handler.generate_schema(self._form), handler(source)])


# --- ids --------------------------------------------------------------------------------------------------------------

Id = Annotated[
    str,
    Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$", coerce_numbers_to_str=True),
    Written(StrictStr | StrictInt, "must be text or a whole number"),
]
"""Held as text, written as text or as a whole number."""

# --- time -------------------------------------------------------------------------------------------------------------

_YEAR = "(?:19[7-9][0-9]|[2-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])"  # 1970 to 9998: any offset may be added
_DAY = _YEAR + "-[0-9]{2}-[0-9]{2}"
_SECOND = "[0-9]{2}:[0-9]{2}:[0-9]{2}"
_FORM = rf"^{_DAY}[T ]{_SECOND}(?:\.[0-9]{{1,6}})?(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})?$"

Timestamp = Annotated[
    StrictStr,
    StringConstraints(pattern=_FORM),
    Rule('must be a time such as "2026-11-21T12:00:00Z", of the years 1970 to 9998'),
]
"""As it was written; `in_utc` reads it. The form alone: whether there is such a day is for `Instant` to say."""

Instant = Annotated[datetime, Rule("is no real date and time")]


def in_utc(text: str) -> str:
    """Return a time that `Timestamp` and `Instant` took as UTC, without "Z" and without trailing zeros of its fraction.

    So the order of texts is that of time. Raises ValueError when the offset moves it out of the years 1970 to 9998.
    """
    if text[-1] == "Z":
        text = text[:-1]
    elif text[-6] in "+-":
        text = _minute_in_utc(text[:16], text[-6:]) + text[16:-6]
    if text[10] == " ":
        text = text.replace(" ", "T")
    return text.rstrip("0").removesuffix(".") if "." in text else text


@lru_cache(maxsize=4_096)  # an offset moves whole minutes, and events come minute by minute
def _minute_in_utc(minute: str, offset: str) -> str:
    moment = datetime.fromisoformat(minute + offset).astimezone(UTC)
    if not 1970 <= moment.year <= 9998:
        raise ValueError("must be of the years 1970 to 9998 in UTC")
    return moment.isoformat()[:16]


# --- money and counts -------------------------------------------------------------------------------------------------

Amount = Annotated[
    Annotated[StrictStr, StringConstraints(pattern=AMOUNT_PATTERN)]
    | Annotated[int, Field(strict=True, ge=0, lt=AMOUNT_LIMIT)]
    | Annotated[float, Field(strict=True, ge=0, lt=AMOUNT_LIMIT, allow_inf_nan=False)],
    Field(union_mode="left_to_right"),
    Rule('must be an amount such as "12.50" or 12.5, not negative and with at most 12 digits before the point'),
]
"""As it was written: its currency says how many minor units it is (money.py)."""


def _above_zero(amount: str | float) -> str | float:
    if (amount.strip("0.") == "") if isinstance(amount, str) else (amount == 0):
        raise ValueError
    return amount


PositiveAmount = Annotated[Amount, AfterValidator(_above_zero), Rule("must be an amount above zero")]

Currency = Annotated[str, Written(Literal[tuple(CURRENCIES)], "must be a currency code of ISO 4217")]

Quantity = Annotated[
    int,
    Field(ge=1, le=1_000_000),
    Written(StrictInt | Annotated[StrictStr, StringConstraints(pattern="^[0-9]{1,18}$")], "must be a whole number"),
]
"""A number of pieces; 18 digits fit any integer type, so that reading them cannot fail."""

T = TypeVar("T")
Lines = Annotated[list[T], Field(min_length=1, max_length=500)]
"""The items of an order."""
