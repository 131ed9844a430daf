"""Compares everything a run left behind with what the oracle says: every row, dead letter, update and count."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from typing import NamedTuple

from tests.acceptance.judge_letters import cause_of, faults_of_letter
from tests.acceptance.judge_source import Source, Unsure
from tests.acceptance.judge_tables import faults_of_tables
from tests.acceptance.scene import PARTITIONS, Scene
from tests.contract.brokers.server import Read, Sent, TopicLog
from tests.oracle import ACTION, FORWARDED_FROM, Accepted, LogRecord, Oracle
from tests.workers import Worker

MOST_FAULTS = 40


class Judged(NamedTuple):
    """What came of a run in which all is right."""

    outcomes: Counter[str]
    letters: int


def judge(
    scene: Scene,
    sent: Iterable[Sent],
    reader: Worker,
    unsure: Mapping[Sent, Unsure] | None = None,
    acknowledged: Iterable[tuple[Iterable[Sent], int]] = (),
) -> Judged:
    """Fail unless all that was sent is in the topic once, and everything that came of it is right; all is processed.

    Of each group of records in `acknowledged` at least so many must be in the topic; they are among the `unsure` ones.
    `reader` is a worker, alive or not, whose settings the `dump` command is run with. Topics are read one partition
    after the other, and not kept, so that millions of records can be judged. The tables are looked at last, if all else
    is right: that takes four processes.
    """
    oracle = Oracle(scene.orders.topic, PARTITIONS)
    source = Source(sent, unsure or {})
    faults: list[str] = []
    letters = 0
    for partition in range(PARTITIONS):
        judging = _Partition(scene, partition, oracle, source)
        faults += judging.faults()
        letters += judging.letters
    faults = [*source.faults(acknowledged), *oracle.problems(), *faults]
    if not faults:
        faults += faults_of_tables(scene, oracle, reader)
    assert not faults, "\n".join([f"{len(faults)} faults", *faults[:MOST_FAULTS]])
    return Judged(oracle.outcomes, letters)


class _Partition:
    """Goes through a partition of orders, its updates beside it, then its dead letters."""

    def __init__(self, scene: Scene, partition: int, oracle: Oracle, source: Source) -> None:
        self.letters = 0
        self._scene = scene
        self._oracle = oracle
        self._source = source
        self._partition = partition
        self._refused: defaultdict[int, list[str]] = defaultdict(list)
        self._letters: dict[int, Read] = {}

    def faults(self) -> list[str]:
        """Return everything that is wrong."""
        with ExitStack() as opened:

            def records(topic: TopicLog) -> Iterator[Read]:
                return opened.enter_context(closing(topic.only(self._partition))).read_on()

            faults = self._updates(records(self._scene.orders), records(self._scene.updates))
            return faults + self._dead_letters(records(self._scene.dead_letters))

    def _updates(self, orders: Iterator[Read], updates: Iterator[Read]) -> list[str]:
        """Each accepted event once, in the order of its partition, with the order as it stood then."""
        expected: Counter[str] = Counter()
        faults: list[str] = []
        in_order = True
        for record in orders:
            if not {FORWARDED_FROM, ACTION} & dict(record.headers).keys():
                self._source.take(record)
            self._letters[record.offset] = record
            taken = self._oracle.take(LogRecord(*record[:5]))
            for refused, cause in taken.refused:
                self._refused[refused.offset].append(cause)
            if (self._partition, record.offset) not in self._oracle.letters:
                del self._letters[record.offset]  # it is none: few records are
            for found in taken.accepted:
                update = next(updates, None) if in_order else None
                if update is None or _event_id(update) != found.event_id:
                    in_order = False  # from here on only what is missing and what is too much can be told
                    expected[found.event_id] += 1
                    expected[_event_id(update) if update else ""] -= 1
                elif len(faults) <= MOST_FAULTS:
                    faults += _update(update, found)
        for update in updates:
            expected[_event_id(update)] -= 1
        del expected[""]
        if not in_order or any(expected.values()):
            much, less = dict(-expected), dict(+expected)
            faults.append(f"order-updates {self._partition}: not in order, too often {much}, missing {less}")
        return faults

    def _dead_letters(self, letters: Iterator[Read]) -> list[str]:
        """Each refused record once each time, untouched, with its causes and where it came from."""
        faults = []
        found: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
        for letter in letters:
            self.letters += 1
            headers = dict(letter.headers)
            partition = int.from_bytes(headers["kafka_dlt-original-partition"] or b"", "big", signed=True)
            offset = int.from_bytes(headers["kafka_dlt-original-offset"] or b"", "big", signed=True)
            found[partition, offset].append(cause_of(letter))
            if partition == self._partition and offset in self._refused:
                found_faults = faults_of_letter(self._scene, letter, self._letters[offset])
                faults += [f"dead letter of {(partition, offset)}: {fault}" for fault in found_faults]
        wanted = {(self._partition, offset): causes for offset, causes in self._refused.items()}
        return faults + [
            f"dead letter of {place}: found {found.get(place)}, wanted {wanted.get(place)}"
            for place in sorted({*found, *wanted})
            if found.get(place) != wanted.get(place)
        ]


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
