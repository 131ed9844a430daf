"""Compares everything a run left behind with what the oracle says: every row, dead letter, update and count."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from tests.acceptance.scene import PARTITIONS, Scene
from tests.contract.brokers.server import Read, Sent
from tests.oracle import FORWARDED_FROM, Accepted, Expected, Key, LogRecord, Row, differences, expect
from tests.oracle_events import MAX_VALUE_BYTES
from tests.workers import Worker

ROW_KEYS = {
    "orders": ("customer_id", "order_id"),
    "customers": ("customer_id",),
    "products": ("sku",),
    "revenue": ("currency", "start"),
}
TIMESTAMP_TYPES = {1: b"CreateTime", 2: b"LogAppendTime"}
MAX_MESSAGE_BYTES = 1_024


class Unsure(NamedTuple):
    """How often a record may be in the topic whose producer makes no promise, or could not know."""

    least: int
    most: float


def judge(
    scene: Scene,
    sent: Iterable[Sent],
    reader: Worker,
    unsure: Mapping[Sent, Unsure] | None = None,
    acknowledged: Iterable[tuple[Iterable[Sent], int]] = (),
) -> Expected:
    """Fail unless all that was sent is in the topic once, and everything that came of it is right; all is processed.

    Of each group of records in `acknowledged` at least so many must be in the topic; they are among the `unsure` ones.
    `reader` is a worker, alive or not, whose settings the `dump` command is run with. Returns what was expected, and
    found. The tables are looked at last, if all else is right: that takes four processes.
    """
    log = list(scene.orders.catch_up())
    originals = [record for record in log if FORWARDED_FROM not in dict(record.headers)]
    lost_or_doubled = Counter((r.key, r.value, r.headers) for r in originals)
    for group, least in acknowledged:
        there = sum(1 for record in group if lost_or_doubled[record])
        assert there >= least, f"{there} records are in the topic of {least} that were acknowledged"
    for record, times in (unsure or {}).items():
        found = lost_or_doubled.pop(record, 0)
        assert times.least <= found <= times.most, f"{found} times in the topic instead of {times}: {record}"
    lost_or_doubled.subtract(sent)
    assert not +lost_or_doubled, f"in the topic too often: {list((+lost_or_doubled).items())[:3]}"
    assert not -lost_or_doubled, f"not in the topic: {list((-lost_or_doubled).items())[:3]}"

    expected = expect([LogRecord(*record[:5]) for record in log], scene.orders.topic, PARTITIONS)
    faults = list(expected.problems)
    faults += _updates(scene, expected)
    faults += _dead_letters(scene, expected, {(record.partition, record.offset): record for record in log})
    faults += [f"outcomes {line}" for line in differences(_outcomes(scene), _plain(expected.outcomes))]
    for table in () if faults else ROW_KEYS:
        faults += [f"{table} {line}" for line in differences(_dump(reader, table), expected.tables[table])]
    assert not faults, "\n".join([f"{len(faults)} faults", *faults[:40]])
    return expected


def _dump(reader: Worker, table: str) -> dict[Key, Row]:
    result = reader.command("dump", table)
    assert result.returncode == 0, f"dump {table} exited with {result.returncode}: {result.stderr.decode()}"
    rows: dict[Key, Row] = {}
    for line in result.stdout.splitlines():
        row = json.loads(line)
        key = tuple(row[name] for name in ROW_KEYS[table])
        assert key not in rows, f"dump {table} gives {key} twice"
        if table != "revenue" or row["orders"] or float(row["gross"]) or float(row["refunded"]):
            rows[key] = row
    return rows


def _outcomes(scene: Scene) -> dict[Key, int]:
    """Sum up the counts of all partitions, as they stand in the state."""
    sums: Counter[str] = Counter()
    for partition in range(PARTITIONS):
        for (table, outcome), count in scene.state.rows(partition).items():
            sums[outcome] += json.loads(count) if table == "outcomes" else 0
    return _plain(sums)


def _plain(counts: Counter[str]) -> dict[Key, int]:
    return {(outcome,): count for outcome, count in counts.items() if count}


def _updates(scene: Scene, expected: Expected) -> list[str]:
    """Each accepted event once, in the order of its partition, with the order as it stood then."""
    found: defaultdict[int, list[Read]] = defaultdict(list)
    for record in scene.updates.catch_up():
        found[record.partition].append(record)
    faults = []
    for partition, accepted in expected.accepted.items():
        updates = found.pop(partition, [])
        counts = Counter(_event_id(update) for update in updates)
        counts.subtract(event.event_id for event in accepted)
        if any(counts.values()):
            faults.append(f"order-updates {partition}: too often {+counts}, missing {-counts}")
            continue
        faults += [line for update, event in zip(updates, accepted, strict=True) for line in _update(update, event)]
    return faults + [f"order-updates has a partition {partition}" for partition in found]


def _event_id(update: Read) -> str:
    return (dict(update.headers)["event_id"] or b"").decode()


def _update(update: Read, event: Accepted) -> list[str]:
    place = f"order-updates {update.partition}/{update.offset}"
    if _event_id(update) != event.event_id:
        return [f"{place}: event {_event_id(update)}, where {event.event_id} comes next"]
    value = update.value or b""
    faults = []
    if update.key != event.customer_id.encode():
        faults.append(f"{place}: key {update.key!r} instead of {event.customer_id}")
    if not value.startswith(b'{"event":' + event.value):
        faults.append(f"{place}: does not hold the event as it came: {value!r}, {event.value!r}")
    if json.loads(value)["order"] != event.order:
        faults.append(f"{place}: order {json.loads(value)['order']}, wanted {event.order}")
    return faults


def _dead_letters(scene: Scene, expected: Expected, log: dict[tuple[int, int], Read]) -> list[str]:
    """Each refused record once, untouched, with its cause and where it came from."""
    found: defaultdict[tuple[int, int], list[Read]] = defaultdict(list)
    for letter in scene.dead_letters.catch_up():
        headers = dict(letter.headers)
        partition = int.from_bytes(headers["kafka_dlt-original-partition"] or b"", "big", signed=True)
        offset = int.from_bytes(headers["kafka_dlt-original-offset"] or b"", "big", signed=True)
        found[partition, offset].append(letter)
    causes = {place: [_cause(letter) for letter in letters] for place, letters in found.items()}
    wanted = {place: [cause] for place, cause in expected.dead_letters.items()}
    faults = [
        f"dead letter of {place}: found {causes.get(place)}, wanted {wanted.get(place)}"
        for place in sorted({*causes, *wanted})
        if causes.get(place) != wanted.get(place)
    ]
    for place in causes.keys() & wanted.keys():
        faults += [f"dead letter of {place}: {fault}" for fault in _letter(scene, found[place][0], log[place])]
    return faults


def _cause(letter: Read) -> str:
    return (dict(letter.headers)["orderflow-cause"] or b"").decode()


def _letter(scene: Scene, letter: Read, source: Read) -> list[str]:
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
