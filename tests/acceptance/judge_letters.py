"""Compares a dead letter with the record that it is of: untouched, with its cause and where it came from."""

import json
import re
from datetime import datetime
from typing import Any

from tests.acceptance.scene import Scene
from tests.contract.brokers.server import Read
from tests.oracle_events import MAX_VALUE_BYTES

TIMESTAMP_TYPES = {1: b"CreateTime", 2: b"LogAppendTime"}
MAX_MESSAGE_BYTES = 1_024


def cause_of(letter: Read) -> str:
    return (dict(letter.headers)["orderflow-cause"] or b"").decode()


def faults_of_letter(scene: Scene, letter: Read, source: Read) -> list[str]:
    faults = []
    if letter.partition != source.partition:
        faults.append(f"is in partition {letter.partition}")
    if (letter.key, letter.value) != (source.key, source.value):
        faults.append("key or value changed")
    if letter.headers[: len(source.headers)] != source.headers:
        faults.append(f"headers changed: {letter.headers}, were {source.headers}")
    ours = dict(letter.headers[len(source.headers) :])
    if len(ours) != len(letter.headers) - len(source.headers):
        faults.append(f"a header is there twice: {letter.headers}")
    wanted: dict[str, bytes] = {
        "kafka_dlt-original-topic": scene.orders.topic.encode(),
        "kafka_dlt-original-partition": source.partition.to_bytes(4, "big"),
        "kafka_dlt-original-offset": source.offset.to_bytes(8, "big"),
        "kafka_dlt-original-timestamp": source.timestamp.to_bytes(8, "big"),
        "kafka_dlt-original-timestamp-type": TIMESTAMP_TYPES[source.timestamp_type],
        "kafka_dlt-original-consumer-group": scene.app_id.encode(),
    }
    faults += [
        f"{name} is {ours.get(name)!r} instead of {value!r}"
        for name, value in wanted.items()
        if ours.get(name) != value
    ]
    for name in ("kafka_dlt-exception-fqcn", "kafka_dlt-exception-message", "orderflow-app-version"):
        if not 1 <= len(ours.get(name) or b"") <= MAX_MESSAGE_BYTES:
            faults.append(f"{name} is {ours.get(name)!r}")
    if "kafka_dlt-exception-stacktrace" in ours:
        faults.append("has a stack trace, though nothing of ours failed")
    failed_at = (ours.get("orderflow-first-failed-at") or b"").decode()
    if datetime.fromisoformat(failed_at).utcoffset() is None:
        faults.append(f"orderflow-first-failed-at is {failed_at!r}, without an offset")
    return faults + ([] if ours.get("orderflow-cause") == b"undecodable" else _names(ours, source.value or b""))


def _names(ours: dict[str, bytes | None], value: bytes) -> list[str]:
    """Compare the names of the event in the headers with those in the record, as far as both can be read."""
    record: Any = json.loads(value) if len(value) <= MAX_VALUE_BYTES else None
    if not isinstance(record, dict):
        return []
    faults = []
    for name in ("event_type", "event_id", "order_id", "customer_id"):
        header = ours.get(f"orderflow-{name.replace('_', '-')}")
        said = record.get(name)
        if header is not None and header.decode() != str(said):
            faults.append(f"orderflow-{name} is {header!r}, the record says {said!r}")
        if header is None and isinstance(said, str) and re.fullmatch(r"[\w.-]{1,255}", said):
            faults.append(f"{name} is not among the headers")
    return faults
