"""The events that candidates work on: shaped like the sample orders, and as long as events usually are. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice, repeat
from types import MappingProxyType

from app.sources.samples import sample_events

SEED = 7
CUSTOMER = re.compile(rb'"customer_id":(?:"[^"]*"|[0-9]+)')
FLOODS: Mapping[str, tuple[bytes, bytes]] = MappingProxyType(
    {
        "no JSON": (b"{", b"["),
        "invalid": (b'"timestamp":"', b'"timestamp":"about '),
        "too early": (b'"event_type":"order.created"', b'"event_type":"order.shipped"'),
    }
)
"""What is replaced in every event to make it bad: nobody can read it; its order is held up; it waits for ever."""

USUAL_EXTRAS = b',"source":{"shop":"shop-eu-1","app":"checkout","version":"4.12.0"},"trace_id":"%032x"}'
"""Fields that we do not read, as producers add them: they bring an event to about 300 bytes."""


@dataclass(frozen=True)
class Workload:
    """Some events on a topic. `customers` is how many there are, 0: every order has a new one; `apart`: every event.

    After the events come so many more, the same ones `again` from the first: their rows are all there already. All of
    them are bad in a `flood`.
    """

    customers: int
    events: int
    partitions: int = 4
    again: int = 0
    apart: bool = False
    flood: str = ""

    @property
    def name(self) -> str:
        """How tables call it."""
        if self.flood:
            return f"every event {self.flood}"
        if self.apart:
            return "every event a new customer"
        return f"{self.customers:,} customers" if self.customers else "every order a new customer"

    @property
    def prefix(self) -> str:
        """What its topics are called, before their own names."""
        kind = "-apart" * self.apart + self.flood.replace(" ", "-")
        return f"c{self.customers}-e{self.events}-p{self.partitions}-a{self.again}{kind}."

    @property
    def total(self) -> int:
        """How many records there are."""
        return self.events + self.again

    def lines(self) -> Iterator[bytes]:
        """Yield the events as JSON."""
        repeated = chain.from_iterable(self._once() for _ in repeat(None))
        return islice(repeated, self.total)

    @property
    def orders(self) -> int:
        """How many orders the events create; with new customers only, each is a row."""
        return _orders(self)

    def _once(self) -> Iterator[bytes]:
        for count, line in enumerate(sample_events(self.events, seed=SEED, customers=self.customers)):
            value = with_extras(CUSTOMER.sub(b'"customer_id":"n-%08d"' % count, line) if self.apart else line, count)
            yield value.replace(*FLOODS[self.flood], 1) if self.flood else value


@cache
def _orders(workload: Workload) -> int:
    return sum(b'"order.created"' in line for line in islice(workload.lines(), workload.events))


def with_extras(line: bytes, number: int) -> bytes:
    """Add to an event what producers usually add."""
    return line[:-1] + USUAL_EXTRAS % number
