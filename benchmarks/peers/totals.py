"""The state that every peer on Redis keeps, one hash per customer: how it is written, and whether it came out right.

`customer:{id}` holds `events`, `orders`, and `total:{currency}` in minor units. What it should hold is worked out by
another way than what wrote it: plain `json` and `Decimal`, without our models' parsing.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, Protocol

from redis import Redis

from models.events import Event
from models.money import CURRENCIES

Totals = dict[str, dict[str, int]]
"""The fields of each customer's hash, by the name of its key."""

_KEYS_AT_ONCE = 1_000


class Hashes(Protocol):
    """A client or a pipeline, asynchronous or not."""

    def hincrby(self, name: str, key: str, amount: int = 1) -> Any:
        """Add to a field of a hash."""


def add(hashes: Hashes, event: Event) -> None:
    """Add one event to its customer's hash."""
    key = f"customer:{event.customer_id}"
    hashes.hincrby(key, "events", 1)
    if event.total is not None:
        hashes.hincrby(key, "orders", 1)
        hashes.hincrby(key, f"total:{event.currency}", event.total)


def expected(events: Iterable[bytes]) -> Totals:
    """Return what the hashes must hold after these events, each a JSON text that is valid and counted once."""
    totals: dict[str, Counter[str]] = {}
    for text in events:
        event = json.loads(text, parse_float=Decimal)
        fields = totals.setdefault(f"customer:{event['customer_id']}", Counter())
        fields["events"] += 1
        if event["event_type"] == "order.created":
            currency = event["currency"]
            fields["orders"] += 1
            fields[f"total:{currency}"] += round(Decimal(event["total_amount"]).scaleb(CURRENCIES[currency]))
    return {key: dict(fields) for key, fields in totals.items()}


def stored(client: Redis) -> Totals:
    """Return what the hashes hold."""
    totals: Totals = {}
    keys = client.scan_iter("customer:*", count=_KEYS_AT_ONCE)
    while chunk := list(islice(keys, _KEYS_AT_ONCE)):
        pipeline = client.pipeline(transaction=False)
        for key in chunk:
            pipeline.hgetall(key)
        for key, fields in zip(chunk, pipeline.execute(), strict=True):
            totals[key.decode()] = {field.decode(): int(value) for field, value in fields.items()}
    return totals


def differences(client: Redis, events: Iterable[bytes]) -> list[str]:
    """Return one line for each customer whose hash is not what these events add up to. None: the peer was right."""
    return list(_differences(expected(events), stored(client)))


def _differences(due: Totals, held: Totals) -> Iterator[str]:
    for key in sorted(due.keys() | held.keys()):
        if due.get(key) != held.get(key):
            yield f"{key} should hold {due.get(key)}, holds {held.get(key)}"
