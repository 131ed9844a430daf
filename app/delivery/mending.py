"""Changes fields of an event's JSON: `total_amount=12.00`, `items.0.qty=2`. Pure."""

import json
from collections.abc import Sequence
from typing import Any

import orjson

MOST_DIGITS = 6


class MendingError(ValueError):
    """An event cannot be changed so; the text says why."""


def mended(value: bytes | None, changes: Sequence[str]) -> bytes:
    """Return an event's JSON with fields set, each by `path=value`.

    A path names fields, and places in lists from 0 on, with dots between them. A value is JSON, else text; a number
    with a decimal point stays text too, as amounts are exact. Raises `MendingError`.
    """
    try:
        event = json.loads(
            value or b"", parse_float=orjson.Fragment, parse_int=orjson.Fragment, parse_constant=_no_json
        )
    except (ValueError, RecursionError) as error:
        raise MendingError("the record is not JSON: give the whole value with --value") from error
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals or not path:
            raise MendingError(f"{change!r} sets nothing: write field=value")
        _set(event, path.split("."), _value(text))
    try:
        return orjson.dumps(event)
    except TypeError as error:  # half of a surrogate pair, or what is nested too deep
        raise MendingError(f"the mended event cannot be written as JSON ({error})") from error


def _no_json(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _value(text: str) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return text if isinstance(value, float) else value


def _set(at: Any, path: Sequence[str], value: Any) -> None:
    try:
        for name in path[:-1]:
            at = at[_index(at, name)]
        last = _index(at, path[-1])
        if isinstance(at, list):
            _ = at[last]  # a list does not grow
        at[last] = value
    except (KeyError, IndexError, TypeError) as error:
        raise MendingError(f"there is no {'.'.join(path)} to be set in this event") from error


def _index(at: Any, name: str) -> Any:
    """Return what a name in a path stands for: a field's name, or a place in a list. Raises KeyError."""
    if not isinstance(at, list):
        return name
    if not (name.isascii() and name.isdecimal() and len(name) < MOST_DIGITS):
        raise KeyError(name)
    return int(name)
