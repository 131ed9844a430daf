"""Compares the topic of orders with what was sent to it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tests.contract.brokers.server import Read, Sent


class Unsure(NamedTuple):
    """How often a record may be in the topic whose producer makes no promise, or could not know."""

    least: int
    most: float


class Source:
    """Compares the topic of orders with what was sent: by hashes, as there may be millions."""

    def __init__(self, sent: Iterable[Sent], unsure: Mapping[Sent, Unsure]) -> None:
        self._sent = sent
        self._missing = Counter(map(hash, sent))
        self._unsure = unsure
        self._found: Counter[Sent] = Counter()
        self._too_often: list[Read] = []

    def take(self, record: Read) -> None:
        """Take a record of the topic that is no forwarded copy."""
        sent = (record.key, record.value, record.headers)
        if sent in self._unsure:
            self._found[sent] += 1
            return
        number = hash(sent)
        self._missing[number] -= 1
        if self._missing[number] < 0:
            self._too_often.append(record)
        elif not self._missing[number]:
            del self._missing[number]

    def faults(self, acknowledged: Iterable[tuple[Iterable[Sent], int]]) -> list[str]:
        """Return what is there too often, or not at all; to be asked once all was taken."""
        faults = [f"in the topic too often: {record}" for record in self._too_often]
        faults += [f"not in the topic: {record}" for record in self._sent if self._missing[hash(record)] > 0]
        for group, least in acknowledged:
            there = sum(1 for record in group if self._found[record])
            if there < least:
                faults.append(f"{there} records are in the topic of {least} that were acknowledged")
        for record, times in self._unsure.items():
            if not times.least <= self._found[record] <= times.most:
                faults.append(f"{self._found[record]} times in the topic instead of {times}: {record}")
        return faults
