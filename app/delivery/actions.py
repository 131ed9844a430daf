"""What somebody asks for about letters, as a record of the orders topic: so it is done once and in order.

The record goes to the partition of the letters, with the header `orderflow-action`; its value is JSON. Consumers of the
topic that are not ours know it by that header, and by its `event_type`.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

ACTION_HEADER = "orderflow-action"
EVENT_TYPE = "orderflow.letters"
MOST_AT = 40
MOST_BY = 200
"""Longest name of who asks, in characters: it is kept with the letter."""


Deed = Literal["redrive", "purge"]


class Action(Struct):
    """A deed on letters of one partition, by their ids, of the application `app`: others may read the same topic.

    `value` is what a redriven letter's value is to be instead.
    """

    deed: Deed
    letters: list[str]
    by: Annotated[str, msgspec.Meta(max_length=MOST_BY)]
    at: Annotated[str, msgspec.Meta(max_length=MOST_AT)]
    app: str
    value: bytes | None = None
    event_type: str = EVENT_TYPE


_DECODER = msgspec.json.Decoder(Action)
encode_action = msgspec.json.Encoder().encode


def record_of(action: Action) -> tuple[bytes, list[tuple[str, bytes | None]]]:
    """Return the value and the headers of an action's record."""
    return encode_action(action), [(ACTION_HEADER, action.deed.encode())]


def now_text() -> str:
    """Return the time for `Action.at`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def asked_at(at: str) -> str:
    """Return what a letter's history says of an action: by who asked and this, whoever asked finds their own."""
    return f"asked for at {at}"


def read_action(value: bytes | None) -> Action | None:
    """Return the action of a record's value, None if it is none."""
    try:
        return _DECODER.decode(value or b"")
    except ValueError:  # no JSON, no action, or no text
        return None
