"""What a failed record looks like in the dead-letter topic: the record untouched, and why it failed, in headers.

The `kafka_dlt-*` headers are those that Spring for Apache Kafka writes, in its encodings, because tools know them.
"""

import traceback
from datetime import UTC, datetime
from typing import NamedTuple

from app.engine.step import Output, Record
from models.errors import EventError

STACKTRACE_BYTES = 8 * 1024
TEXT_BYTES = 1024
MESSAGE_CHARACTERS = 500
STACKTRACE_CHARACTERS = 8_000
NAMES = ("event_type", "event_id", "order_id", "customer_id")
"""What can be read of an event, and is kept with its letter."""
TIMESTAMP_TYPES = {0: b"CreateTime", 1: b"LogAppendTime"}


class Failure(NamedTuple):
    """Why a record failed, with what could be read of it. `stacktrace` only where our own code failed."""

    cause: str
    message: str
    event_type: str | None = None
    event_id: str | None = None
    order_id: str | None = None
    customer_id: str | None = None
    stacktrace: str | None = None


def names_of(event: object) -> tuple[str | None, ...]:
    """Return the `NAMES` of an event, an error of one, or a letter, as far as they could be read; of None, none."""
    return tuple(getattr(event, name, None) for name in NAMES)


def failure_of_event(error: EventError) -> Failure:
    """Return an error of an event as the failure of its record."""
    return Failure(error.cause, error.message, *names_of(error))


def failure_of(error: BaseException, event: object) -> Failure:
    """Return the failure for an unexpected error of our own code, or of a check, while handling `event`."""
    try:
        stacktrace = _text("".join(traceback.format_exception(error)))[-STACKTRACE_CHARACTERS:]
    except Exception:  # noqa: BLE001 - as in message_of
        stacktrace = None
    failure = Failure("handler_failed", message_of(error, name=True), *names_of(event))
    return failure._replace(stacktrace=stacktrace)


def message_of(error: BaseException, *, name: bool = False) -> str:
    """Return what an error says, no longer than a letter's message may be; with the error's `name` before it."""
    try:
        told = str(error)
    except Exception:  # noqa: BLE001 - a team's own class may do anything
        told = "(it cannot be told as text)"
    text = _text(f"{type(error).__name__}: {told}" if name else told)
    return text if len(text) <= MESSAGE_CHARACTERS else text[: MESSAGE_CHARACTERS - 1] + "…"


def _text(text: str) -> str:
    """Return text that can be encoded: an error may quote what is no text at all."""
    return text.encode(errors="replace").decode()


class DeadLetters(NamedTuple):
    """Makes dead letters of one application: `topic` to write to, `source` topic and `group` that read it."""

    topic: str
    source: str
    group: str
    app_version: str

    def letter(self, record: Record, partition: int, failure: Failure, now: float) -> Output:
        """Return the dead letter of a record that failed at `now` (seconds since 1970)."""
        headers = [
            ("kafka_dlt-exception-fqcn", f"orderflow.{failure.cause}".encode()),
            ("kafka_dlt-exception-message", _capped(failure.message, TEXT_BYTES)),
            ("kafka_dlt-original-topic", self.source.encode()),
            ("kafka_dlt-original-partition", partition.to_bytes(4, "big", signed=True)),
            ("kafka_dlt-original-offset", record.offset.to_bytes(8, "big", signed=True)),
            ("kafka_dlt-original-timestamp", int(record.timestamp or 0).to_bytes(8, "big", signed=True)),
            ("kafka_dlt-original-timestamp-type", TIMESTAMP_TYPES.get(record.timestamp_type, b"NoTimestampType")),
            ("kafka_dlt-original-consumer-group", self.group.encode()),
            ("orderflow-cause", failure.cause.encode()),
            ("orderflow-first-failed-at", datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").encode()),
            ("orderflow-app-version", self.app_version.encode()),
        ]
        if failure.stacktrace is not None:
            headers.append(("kafka_dlt-exception-stacktrace", _capped(failure.stacktrace, STACKTRACE_BYTES)))
        for name in NAMES:
            value = getattr(failure, name)
            if value is not None:
                headers.append((f"orderflow-{name.replace('_', '-')}", _capped(value, TEXT_BYTES)))
        return Output(self.topic, partition, record.key, record.value, [*record.headers, *headers])


def _capped(text: str, limit: int) -> bytes:
    """Return text as UTF-8 of at most `limit` bytes, cut between characters."""
    return text.encode(errors="replace")[:limit].decode(errors="ignore").encode()
