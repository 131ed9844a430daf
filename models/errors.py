"""Why an event is not taken: the causes that no retry can cure, and the exceptions that carry them."""

from typing import Literal

Cause = Literal[
    "undecodable",  # not JSON at all, or no value
    "invalid_event",  # JSON, but not an event that we accept
    "unknown_type",  # an event_type that we do not know
    "illegal_transition",  # the order's status does not allow the event
    "unknown_order",  # the customer has no such order
    "order_exists",  # the order was created before, by another event
    "refund_too_large",  # more than what remains of the order
]

MAX_MESSAGE = 500
"""Longest message, in characters: it travels in a header."""
MAX_SHOWN = 64
"""How much of a value a message shows, in characters."""


class EventError(Exception):
    """An event that cannot be taken, ever: what it is (as far as it could be read), and what is wrong with it."""

    def __init__(
        self,
        cause: Cause,
        message: str,
        *,
        event_type: str | None = None,
        event_id: str | None = None,
        order_id: str | None = None,
        customer_id: str | None = None,
    ) -> None:
        self.cause: Cause = cause
        self.message = message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
        self.event_type = event_type
        self.event_id = event_id
        self.order_id = order_id
        self.customer_id = customer_id
        super().__init__(self.message)


class Refusal(EventError):
    """A well-formed event that the order's life does not allow."""


def shown(value: object) -> str:
    """Show a value in a message: short, printable, and without walking into it (it may be nested without end)."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value[:MAX_SHOWN] if isinstance(value, str) else value)
    cut = len(text) > MAX_SHOWN or (isinstance(value, str) and len(value) > MAX_SHOWN)
    return text[: MAX_SHOWN - 1] + "…" if cut else text
