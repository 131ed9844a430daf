"""What must come out of a log of order records, worked out in the plainest way: the judge of the acceptance tests.

It shares no code with models/ or app/, takes one record after another, and prefers being easy to check over being fast.
It reads the topic as it stands at the end, forwarded copies included. Its author had read the models: where the rules
leave something open (a missing event_type, a refund of zero), it follows them, so there it proves nothing.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

from tests.oracle_events import DECIMALS, RefusedError, event_of, minor_units, partition_of, readable

FORWARDED_FROM = "orderflow-forwarded-from"
ACTION = "orderflow-action"
MAX_EVENTS = 1_000

TRANSITIONS = {
    ("created", "order.paid"): "paid",
    ("paid", "order.shipped"): "shipped",
    ("shipped", "order.delivered"): "delivered",
    ("created", "order.cancelled"): "cancelled",
    ("paid", "order.cancelled"): "cancelled",
    ("paid", "order.refunded"): "paid",
    ("shipped", "order.refunded"): "shipped",
    ("delivered", "order.refunded"): "delivered",
}
LATER = {
    None: {"order.paid", "order.shipped", "order.delivered", "order.cancelled", "order.refunded"},
    "created": {"order.shipped", "order.delivered", "order.refunded"},
    "paid": {"order.delivered"},
    "shipped": set[str](),
    "delivered": set[str](),
    "cancelled": set[str](),
    "refunded": set[str](),
}
"""By an order's status: what it refuses now, but could accept after other events. Those wait."""

EARLY = {"unknown_order", "illegal_transition"}
MAX_WAITING = 100
MAX_QUEUE = 1_000
CLOSED = {"delivered", "cancelled", "refunded"}

Row = dict[str, Any]
Key = tuple[str, ...]


class LogRecord(NamedTuple):
    """A record of the orders topic as read back."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Accepted(NamedTuple):
    """An event that counted, and the order (as readers see it) right after it. `offset` is that of its own record."""

    offset: int
    customer_id: str
    event_id: str
    value: bytes
    order: Row


@dataclass
class Expected:
    """What must be found. Rows are in the shape of the HTTP interface, by table and key.

    Keys: orders (customer_id, order_id), customers (customer_id,), products (sku,), revenue (currency, start).
    `accepted` lists each partition's events in the order in which they counted. `dead_letters` has the causes of those
    that were refused for good, each time anew, `letters` the state of all. `problems` are faults of the log itself:
    records that were not forwarded as they should have been.
    """

    tables: dict[str, dict[Key, Row]] = field(default_factory=dict)
    accepted: dict[int, list[Accepted]] = field(default_factory=dict)
    dead_letters: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    letters: dict[tuple[int, int], str] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Taken(NamedTuple):
    """What a record led to: events that count now (its own, then such as had waited for it), and what is refused now.

    Refused are records with their causes: the record itself, or one that had waited.
    """

    accepted: list[Accepted]
    refused: list[tuple[LogRecord, str]]


Place = tuple[int, int]


@dataclass(eq=False)
class _Letter:
    """An open letter: its record, the value that is taken now, its state, and the order that it is kept under."""

    record: LogRecord
    value: bytes | None
    key: Key | None
    state: str

    @property
    def place(self) -> Place:
        return self.record.partition, self.record.offset


@dataclass
class _Held:
    """Letters of an order: a queue that stands still behind its head, and the early events that wait, as they came."""

    queue: list[_Letter] = field(default_factory=list)
    waiting: list[_Letter] = field(default_factory=list)


class Oracle:
    """Is given the records of a topic with so many partitions, each partition in order, and says what becomes of each.

    It keeps the orders as they stand, what was forwarded, letters and their states, and counts. It knows actions on
    letters, but no mended event that belongs to another order, and no check that fails for the moment.
    """

    def __init__(self, topic: str, partitions: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.letters: dict[Place, str] = {}
        self._topic = topic
        self._partitions = partitions
        self._orders: dict[Key, _Order] = {}
        self._open: dict[Place, _Letter] = {}
        self._held: dict[Key, _Held] = {}
        self._misplaced: list[tuple[LogRecord, int]] = []
        self._copies: list[LogRecord] = []

    def take(self, record: LogRecord) -> Taken:
        """Return what a record leads to."""
        taken = Taken([], [])
        headers = dict(record.headers)
        if ACTION in headers:
            self._act(taken, json.loads(record.value or b""))
            return taken
        if FORWARDED_FROM in headers:
            self._copies.append(record)
        customer, order = readable(record.value)
        if customer is not None:
            right = partition_of(customer.encode(), self._partitions)
            if right != record.partition:
                self._misplaced.append((record, right))
                self.outcomes["forwarded"] += 1
                return taken
        key = None if customer is None or order is None else (customer, order)
        held = self._held_of(key)
        if held.queue:
            if len(held.queue) < MAX_QUEUE:
                self._set(self._letter(record, key), "parked", held.queue)
            else:
                self._dead(taken, self._letter(record, key), "too_many_parked")
        else:
            self._take(taken, record, key, held)
        if key is not None and not held.queue and not held.waiting:
            del self._held[key]
        return taken

    def _take(self, taken: Taken, record: LogRecord, key: Key | None, held: _Held) -> None:
        """Decide on a record that nothing holds up."""
        try:
            event = event_of(record.value)
            if event["event_id"] in [event_of(waiting.value)["event_id"] for waiting in held.waiting]:
                self.outcomes["duplicate"] += 1
                return
            order = _apply(self._orders, event)
        except RefusedError as refused:
            self._fail(taken, self._letter(record, key), str(refused))
            return
        if order is None:
            self.outcomes["duplicate"] += 1
            return
        self._accept(taken, record, record.value, event, order)
        self._try_waiting(taken, held)

    def _accept(
        self, taken: Taken, record: LogRecord, value: bytes | None, event: dict[str, Any], order: "_Order"
    ) -> None:
        assert value is not None
        self.outcomes["accepted"] += 1
        taken.accepted.append(Accepted(record.offset, event["customer_id"], event["event_id"], value, order.view()))

    # --- letters ---

    def _held_of(self, key: Key | None) -> _Held:
        return _Held() if key is None else self._held.setdefault(key, _Held())

    def _letter(self, record: LogRecord, key: Key | None) -> _Letter:
        letter = self._open[record.partition, record.offset] = _Letter(record, record.value, key, "new")
        return letter

    def _set(self, letter: _Letter, state: str, among: list[_Letter] | None = None) -> None:
        """Set a letter's state, with what is counted then, and put it among others."""
        letter.state = self.letters[letter.place] = state
        if state in ("parked", "waiting"):
            self.outcomes[state] += 1
        if among is not None:
            among.append(letter)

    def _leave(self, letter: _Letter) -> None:
        held = self._held_of(letter.key)
        for those in (held.queue, held.waiting):
            if letter in those:
                those.remove(letter)

    def _close(self, letter: _Letter, state: str) -> None:
        self._leave(letter)
        self._set(letter, state)
        del self._open[letter.place]

    def _fail(self, taken: Taken, letter: _Letter, cause: str) -> None:
        """Let a letter's event be refused: for now, or for good."""
        waiting = self._held_of(letter.key).waiting
        if cause in EARLY and len(waiting) < MAX_WAITING and self._may_come_later(event_of(letter.value)):
            self._leave(letter)
            self._set(letter, "waiting", waiting)
        else:
            self._dead(taken, letter, cause)

    def _dead(self, taken: Taken, letter: _Letter, cause: str) -> None:
        queue = self._held_of(letter.key).queue
        self.outcomes[f"dead_letter:{cause}"] += 1
        taken.refused.append((letter.record, cause))
        if cause != "invalid_event" or letter.key is None:
            self._leave(letter)
            self._set(letter, "dead")
        elif queue and queue[0] is not letter:  # one that had waited, while others stand behind what was the head
            self._leave(letter)
            queue.append(letter)
            letter.state = self.letters[letter.place] = "parked"
        else:
            self._leave(letter)
            queue.insert(0, letter)
            self._set(letter, "dead")

    def _try_waiting(self, taken: Taken, held: _Held) -> None:
        """Try what waits from the first on, and from the first again whenever one counts."""
        again = True
        while again:
            again = False
            for letter in list(held.waiting):
                event = event_of(letter.value)
                try:
                    order = _apply(self._orders, event)
                except RefusedError as refused:
                    if str(refused) not in EARLY or not self._may_come_later(event):
                        self._dead(taken, letter, str(refused))
                    continue
                self._close(letter, "resolved")
                if order is None:
                    self.outcomes["duplicate"] += 1
                    continue
                self._accept(taken, letter.record, letter.value, event, order)
                again = True
                break

    def _may_come_later(self, event: dict[str, Any]) -> bool:
        order = self._orders.get((event["customer_id"], event["order_id"]))
        return event["event_type"] in LATER[order.status if order else None]

    # --- actions on letters ---

    def _act(self, taken: Taken, action: dict[str, Any]) -> None:
        mended = None if action.get("value") is None else base64.b64decode(action["value"])
        due, keys = list[_Letter](), list[Key]()
        for name in action["letters"]:
            partition, offset = map(int, name.split("-"))
            letter = self._open.get((partition, offset))
            if letter is None or (action["deed"] == "redrive" and letter.state == "parked"):
                self.outcomes["action_refused"] += 1
            elif action["deed"] == "purge":
                self._close(letter, "purged")
                self.outcomes["purged"] += 1
                keys += [letter.key] if letter.key else []
            else:
                letter.value = letter.value if mended is None else mended
                self.outcomes["redriven"] += 1
                due += [letter] if self._is_head(letter) else []
        while due or keys:
            followers = [self._held_of(key).queue[:1] for key in dict.fromkeys(keys)]
            due += [head for heads in followers for head in heads if head.state == "parked"]
            tried, due, keys = due, [], []
            for letter in tried:
                self._try(taken, letter)
                keys += [letter.key] if letter.key else []

    def _is_head(self, letter: _Letter) -> bool:
        """Let a redriven letter be the head of its order's queue, if nothing else is: else it is parked."""
        queue = self._held_of(letter.key).queue
        if queue and queue[0] is not letter:
            self._leave(letter)
            queue.append(letter)
            letter.state = self.letters[letter.place] = "parked"
            return False
        if letter.key is not None:
            self._leave(letter)
            queue.insert(0, letter)
        letter.state = "retrying"
        return True

    def _try(self, taken: Taken, letter: _Letter) -> None:
        """Try the event of a letter that is the head of its order's queue, or of no order at all."""
        try:
            event = event_of(letter.value)
            assert letter.key == (event["customer_id"], event["order_id"]), "it was mended to be another order's"
            order = _apply(self._orders, event)
        except RefusedError as refused:
            self._fail(taken, letter, str(refused))
            return
        self._close(letter, "resolved")
        if order is None:
            self.outcomes["duplicate"] += 1
            return
        self._accept(taken, letter.record, letter.value, event, order)
        self._try_waiting(taken, self._held_of(letter.key))

    def problems(self) -> list[str]:
        """Return what is wrong with the topic itself: records that were not forwarded as they should have been."""
        return _forwarding_problems(self._copies, self._misplaced, self._topic)

    def orders(self) -> Iterator[tuple[Key, Row]]:
        """Yield the rows of the table orders, one by one: all at once take a lot of memory."""
        return ((key, order.view()) for key, order in self._orders.items())

    def totals(self) -> dict[str, dict[Key, Row]]:
        """Return all other tables."""
        return _totals(self._orders.values())


def expect(records: Iterable[LogRecord], topic: str, partitions: int) -> Expected:
    """Return what must come out of `records`, all of them, of a topic with so many partitions."""
    expected = Expected(accepted={partition: [] for partition in range(partitions)})
    oracle = Oracle(topic, partitions)
    for record in sorted(records, key=lambda record: (record.partition, record.offset)):
        taken = oracle.take(record)
        expected.accepted[record.partition] += taken.accepted
        for refused, cause in taken.refused:
            expected.dead_letters.setdefault((refused.partition, refused.offset), []).append(cause)
    expected.letters = oracle.letters
    expected.outcomes = oracle.outcomes
    expected.problems = oracle.problems()
    expected.tables = {"orders": dict(oracle.orders())} | oracle.totals()
    return expected


# --- what becomes of an order ---


@dataclass
class _Order:
    created: dict[str, Any]
    status: str
    refunds: list[tuple[datetime, int]]
    events: list[dict[str, Any]]

    @property
    def currency(self) -> str:
        return str(self.created["currency"])

    @property
    def total(self) -> int:
        return int(self.created["total"])

    @property
    def refunded(self) -> int:
        return sum(amount for _, amount in self.refunds)

    @property
    def remaining(self) -> int:
        return self.total - self.refunded

    def view(self) -> Row:
        """Return the order in the shape of the HTTP interface."""
        count = sum(qty for _, qty, _ in self.created["items"])
        average = (Decimal(self.total) / count).quantize(Decimal(1), ROUND_HALF_EVEN)
        return {
            "order_id": self.created["order_id"],
            "customer_id": self.created["customer_id"],
            "status": self.status,
            "currency": self.currency,
            "total_amount": _money(self.total, self.currency),
            "refunded_amount": _money(self.refunded, self.currency),
            "item_count": count,
            "average_item_price": _money(int(average), self.currency),
            "created_at": _text(self.created["timestamp"]),
            "updated_at": _text(self.events[-1]["timestamp"]),
            "items": [
                {"sku": sku, "qty": qty, "price": _money(price, self.currency)}
                for sku, qty, price in self.created["items"]
            ],
            "events": [
                {"event_id": e["event_id"], "event_type": e["event_type"], "timestamp": _text(e["timestamp"])}
                for e in self.events
            ],
        }


def _apply(orders: dict[Key, _Order], event: dict[str, Any]) -> _Order | None:
    """Apply an event; returns its order, None for a duplicate, or raises `RefusedError`."""
    key = (event["customer_id"], event["order_id"])
    order = orders.get(key)
    if order is not None and event["event_id"] in [seen["event_id"] for seen in order.events]:
        return None
    if event["event_type"] == "order.created":
        if order is not None:
            raise RefusedError("order_exists")
        order = orders[key] = _Order(event, "created", [], [])
    else:
        if order is None:
            raise RefusedError("unknown_order")
        status = TRANSITIONS.get((order.status, event["event_type"]))
        if status is None or len(order.events) >= MAX_EVENTS:
            raise RefusedError("illegal_transition")
        if event["event_type"] == "order.refunded":
            amount = _refund(order, event.get("amount"))
            status = "refunded" if amount == order.remaining else status
            order.refunds.append((event["timestamp"], amount))
        if event["event_type"] == "order.cancelled":
            order.refunds.append((event["timestamp"], order.remaining))
        order.status = status
    order.events.append({name: event[name] for name in ("event_id", "event_type", "timestamp")})
    return order


def _refund(order: _Order, asked: Any) -> int:
    """Return what is refunded, in minor units, or raise `RefusedError`."""
    amount = order.remaining
    if asked is not None:
        try:
            amount = minor_units(asked, DECIMALS[order.currency])
            assert amount > 0
        except AssertionError as error:
            raise RefusedError("invalid_event") from error
    if amount > order.remaining or order.remaining == 0:
        raise RefusedError("refund_too_large")
    return amount


# --- what the tables hold ---


def _totals(orders: Iterable[_Order]) -> dict[str, dict[Key, Row]]:
    """Add all orders up from scratch, as they stand at the end."""
    all_orders = list(orders)
    by_customer: dict[str, list[_Order]] = {}
    skus: set[str] = set()
    minutes: dict[Key, list[int]] = {}
    for order in all_orders:
        by_customer.setdefault(order.created["customer_id"], []).append(order)
        skus |= {sku for sku, _, _ in order.created["items"]}
        bucket = minutes.setdefault(_minute(order.currency, order.created["timestamp"]), [0, 0, 0])
        bucket[0] += 1
        bucket[1] += order.total
        for moment, amount in order.refunds:
            minutes.setdefault(_minute(order.currency, moment), [0, 0, 0])[2] += amount
    return {
        "customers": {(customer,): _customer(customer, theirs) for customer, theirs in by_customer.items()},
        "products": _products(all_orders, skus),
        "revenue": {
            (currency, start): {
                "currency": currency,
                "start": start,
                "orders": count,
                "gross": _money(gross, currency),
                "refunded": _money(refunded, currency),
                "net": _money(gross - refunded, currency),
            }
            for (currency, start), (count, gross, refunded) in minutes.items()
            if count or gross or refunded
        },
    }


def _customer(customer_id: str, orders: list[_Order]) -> Row:
    created = [order.created["timestamp"] for order in orders]
    money = {}
    for currency in {order.currency for order in orders}:
        gross = sum(order.total for order in orders if order.currency == currency)
        refunded = sum(order.refunded for order in orders if order.currency == currency)
        money[currency] = {
            "gross": _money(gross, currency),
            "refunded": _money(refunded, currency),
            "net": _money(gross - refunded, currency),
        }
    return {
        "customer_id": customer_id,
        "order_count": len(orders),
        "open_orders": sum(order.status not in CLOSED for order in orders),
        "first_order_at": _text(min(created)),
        "last_order_at": _text(max(created)),
        "money": money,
    }


def _products(orders: Iterable[_Order], skus: Iterable[str]) -> dict[Key, Row]:
    rows: dict[Key, Row] = {
        (sku,): {"sku": sku, "orders": 0, "units_sold": 0, "units_cancelled": 0, "money": {}} for sku in skus
    }
    revenue: Counter[tuple[str, str]] = Counter()
    for order in orders:
        cancelled = any(event["event_type"] == "order.cancelled" for event in order.events)
        for sku, qty, price in order.created["items"]:
            rows[sku,]["units_sold"] += qty
            rows[sku,]["units_cancelled"] += qty if cancelled else 0
            revenue[sku, order.currency] += 0 if cancelled else qty * price
        for sku in {sku for sku, _, _ in order.created["items"]}:
            rows[sku,]["orders"] += 1
    for (sku, currency), minor in revenue.items():
        rows[sku,]["money"][currency] = {"revenue": _money(minor, currency)}
    return rows


def _money(minor: int, currency: str) -> str:
    return f"{Decimal(minor).scaleb(-DECIMALS[currency]):f}"


def _text(moment: datetime) -> str:
    text = moment.replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def _minute(currency: str, moment: datetime) -> Key:
    return currency, f"{moment:%Y-%m-%dT%H:%M}:00Z"


# --- what became of misplaced records ---


def _forwarding_problems(log: Iterable[LogRecord], misplaced: Iterable[tuple[LogRecord, int]], topic: str) -> list[str]:
    """Return what is wrong with the copies: each record once, to the right place, unchanged, in the order it came."""
    problems = []
    copies: dict[str, list[LogRecord]] = {}
    last: dict[tuple[str, int], int] = {}
    for record in log:
        source = dict(record.headers)[FORWARDED_FROM]
        if source is None:
            continue
        copies.setdefault(source.decode(), []).append(record)
        origin, _, offset = source.decode().rpartition("/")
        if int(offset) <= last.get((origin, record.partition), -1):
            problems.append(f"{_place(topic, record)}: copy of {source.decode()} comes after that of a later record")
        last[origin, record.partition] = int(offset)
    for record, right in misplaced:
        place = _place(topic, record)
        found = copies.pop(place, [])
        if len(found) != 1:
            problems.append(f"{place}: forwarded {len(found)} times instead of once")
        for copy in found:
            if copy.partition != right:
                problems.append(f"{place}: forwarded to partition {copy.partition} instead of {right}")
            if (copy.key, copy.value) != (record.key, record.value):
                problems.append(f"{place}: key or value changed on the way to {_place(topic, copy)}")
    problems += [f"{place}: forwarded, but was in its right partition" for place in copies]
    return problems


def _place(topic: str, record: LogRecord) -> str:
    return f"{topic}/{record.partition}/{record.offset}"


def differences(found: Mapping[Key, Any], wanted: Mapping[Key, Any], limit: int = 10) -> list[str]:
    """Return one line for each key whose row is missing, too many, or another than wanted; at most `limit`."""
    lines = []
    for key in sorted({*found, *wanted}, key=repr):
        if key not in found:
            lines.append(f"{key}: missing, wanted {wanted[key]}")
        elif key not in wanted:
            lines.append(f"{key}: not wanted, found {found[key]}")
        elif found[key] != wanted[key]:
            lines.append(f"{key}: found {found[key]}, wanted {wanted[key]}")
    return lines if len(lines) <= limit else [*lines[:limit], f"… and {len(lines) - limit} more"]
