"""Sample orders: whole lives of made-up orders, the same for the same seed on every machine. Pure; reads no clock.

The text of an event is built directly, without a JSON library: this also fills the topics of benchmarks.
Records that are wrong on purpose are made in `app/sources/broken.py`.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from app.sources.broken import broken_record

DEFAULT_START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

_OPEN_ORDERS = 200  # lives that go on side by side
_NEW_ORDER_CHANCE = 0.3  # per event, while fewer than that are open
_REMEMBERED = 2_000  # events back from which one is sent again


class _Money(NamedTuple):
    currency: str
    decimals: int
    per_pound: int  # minor units that one minor unit of GBP is worth, for prices that look right


_GBP = _Money("GBP", 2, 1)
_MONIES = (_GBP, _GBP, _GBP, _Money("EUR", 2, 1), _Money("EUR", 2, 1), _Money("USD", 2, 1), _Money("USD", 2, 1),
           _Money("JPY", 0, 2), _Money("KWD", 3, 4), _Money("SEK", 2, 13))  # fmt: skip

# How often each life happens, in percent. c = created, then: p = paid, s = shipped, d = delivered, x = cancelled,
# r = a part refunded, a = all of it refunded by amount, f = what remains refunded, without an amount.
_LIVES = (
    (70, "cpsd"), (6, "cx"), (4, "cpx"), (3, "cprx"), (4, "cpsdr"), (4, "cpsdf"), (2, "cpsdrf"), (2, "cpsrdr"),
    (2, "cpa"), (1, "cprf"), (1, "cp"), (1, "c"),
)  # fmt: skip
_PLANS = tuple(life[:0:-1] for share, life in _LIVES for _ in range(share))  # what follows "c", last step first

# A shop's way of writing time: minutes east of UTC, suffix, digits of the second's fraction, ms its clock is behind.
_CLOCKS = (
    (0, "Z", 3, 0), (0, "Z", 3, 0), (0, "Z", 3, 0), (0, "Z", 3, 0), (0, "Z", 0, 0), (0, "", 3, 3_000), (0, "", 6, 0),
    (120, "+02:00", 3, 0), (-300, "-05:00", 0, 1_000), (330, "+05:30", 3, 0),
)  # fmt: skip

_WARES = ("tea", "mug", "lamp", "scarf", "notebook", "candle", "honey", "soap", "basket", "apron")
_SKUS = tuple(f"{ware}-{number:03d}" for number in range(50) for ware in _WARES)
_DETAILS = {
    "p": ("order.paid", ',"method":"card"', ',"method":"transfer"', ',"method":"voucher","note":"für Zoë"'),
    "s": ("order.shipped", ',"carrier":"post"', ',"carrier":"courier","parcels":2', ',"carrier":"bike"'),
    "d": ("order.delivered", "", ',"place":"door"', ',"place":"neighbour"'),
    "x": ("order.cancelled", ',"reason":"changed mind"', ',"reason":"too slow"', ',"reason":"ordered twice"'),
    "r": ("order.refunded", ',"reason":"damaged"', ',"reason":"late"', ""),
    "a": ("order.refunded", ',"reason":"lost"', "", ',"by":"support"'),
    "f": ("order.refunded", ',"reason":"returned"', "", ',"by":"support"'),
}


class _OpenOrder:
    """What has to be known of an order to write its next event."""

    __slots__ = ("clock", "ids", "money", "numbers", "plan", "total")

    def __init__(self, plan: str, ids: str, clock: int, money: _Money, total: int, *, numbers: bool) -> None:
        self.plan = plan
        self.ids = ids
        self.clock = clock
        self.money = money
        self.total = total
        self.numbers = numbers


def sample_events(
    count: int,
    seed: int = 1,
    customers: int | None = 1_000,
    invalid: float = 0.0,
    duplicates: float = 0.0,
    start: datetime = DEFAULT_START,
    pace: float = 0.2,
) -> Iterator[bytes]:
    """Yield `count` JSON texts, one event each, in an order that each customer's orders accept.

    `customers` is how many there are (0 or None: every order has a new one). `invalid` and `duplicates` are shares of
    `count`: broken records, which no valid order notices, and earlier events once more, byte for byte. What remains
    without those two is what the same seed gives without faults. `pace` is the mean time between events, in seconds.
    Raises ValueError for arguments that make no sense.
    """
    if count < 0 or not 0 <= seed < 2**32 or (customers or 0) < 0 or pace < 0:
        raise ValueError("count, seed, customers and pace must not be negative, and seed must be less than 2**32")
    if start.tzinfo is None:
        raise ValueError("start needs a time zone: without one it would mean another time on every machine")
    if not (0 <= invalid <= 1 and 0 <= duplicates <= 1 and invalid + duplicates <= 1):
        raise ValueError("invalid and duplicates are shares: each 0 to 1, and no more than 1 together")
    events = _lives(seed, customers or 0, start, pace)
    if invalid == 0 and duplicates == 0:
        return (next(events) for _ in range(count))
    return _with_faults(events, count, seed, invalid, duplicates, start)


def bundled_events() -> Iterator[bytes]:
    """Yield the events of samples/orders.jsonl: 20 customers, with a few records that are broken or sent twice."""
    return sample_events(200, seed=2026, customers=20, invalid=0.02, duplicates=0.02, pace=30.0)


def _with_faults(
    events: Iterator[bytes], count: int, seed: int, invalid: float, duplicates: float, start: datetime
) -> Iterator[bytes]:
    random = Random(f"faults of {seed}")  # noqa: S311 - reproducible on purpose
    sent: list[bytes] = []
    broken = 0
    for at in range(count):
        draw = random.random()
        if draw < invalid:
            earlier = sent[int(random.random() * len(sent))] if sent else None
            yield broken_record(broken, seed, earlier, start)
            broken += 1
        elif draw < invalid + duplicates and sent:
            yield sent[int(random.random() * len(sent))]
        else:
            event = next(events)
            if len(sent) < _REMEMBERED:
                sent.append(event)
            else:
                sent[at % _REMEMBERED] = event
            yield event


def _lives(seed: int, customers: int, start: datetime, pace: float) -> Iterator[bytes]:
    """Yield the events of order lives without end, many lives interleaved."""
    draw = Random(seed).random  # noqa: S311 - reproducible on purpose
    stamp = _stamps(start)
    step_ms = pace * 2_000
    elapsed_ms = 0.0
    open_orders: list[_OpenOrder] = []
    number_base = seed * 1_000_000_000
    orders = events = 0
    while True:
        elapsed_ms += draw() * step_ms
        events += 1
        if not open_orders or (len(open_orders) < _OPEN_ORDERS and draw() < _NEW_ORDER_CHANCE):
            orders += 1
            money = _MONIES[int(draw() * len(_MONIES))]
            numbers = draw() < 0.1
            clock = int(draw() * len(_CLOCKS))
            order_id = str(number_base + orders) if numbers else f'"o-{seed}-{orders:07d}"'
            customer = int(draw() * customers) + 1 if customers else 0
            ids = f',"order_id":{order_id},"customer_id":{_customer_id(customer, seed, orders, as_number=numbers)}'
            items, total = _basket(draw, money, as_numbers=numbers)
            order = _OpenOrder(_PLANS[int(draw() * len(_PLANS))], ids, clock, money, total, numbers=numbers)
            head = "order.created"
            amount = _amount(total, money, as_number=numbers)
            tail = f',"total_amount":{amount},"currency":"{money.currency}","items":[{items}]'
            if order.plan:
                open_orders.append(order)
        else:
            at = int(draw() * len(open_orders))
            order = open_orders[at]
            kind = order.plan[-1]
            order.plan = order.plan[:-1]
            if not order.plan:
                open_orders[at] = open_orders[-1]
                open_orders.pop()
            details = _DETAILS[kind]
            head, tail = details[0], details[1 + int(draw() * 3)]
            if kind == "r":  # at most two parts of at most 0.4 each: something always remains
                part = max(1, int(order.total * (0.1 + 0.3 * draw())))
                tail = f',"amount":{_amount(part, order.money, as_number=order.numbers)}{tail}'
            elif kind == "a":
                tail = f',"amount":{_amount(order.total, order.money, as_number=order.numbers)}{tail}'
        event_id = str(number_base + events) if order.numbers else f'"e-{seed}-{events:08d}"'
        time = stamp(int(elapsed_ms), order.clock)
        yield f'{{"event_type":"{head}","event_id":{event_id},"timestamp":"{time}"{order.ids}{tail}}}'.encode()


def _customer_id(customer: int, seed: int, order: int, *, as_number: bool) -> str:
    """Return the JSON of a customer's id; 0 stands for a customer that has this one order only."""
    if not customer:
        return f'"c-{seed}-{order:07d}"'
    match customer % 10:
        case 3:  # sends its id as a number from one shop, as text from another
            return str(100_000 + customer) if as_number else f'"{100_000 + customer}"'
        case 7:  # the same id, written in two ways
            return f'"zo\\u00eb-{customer:05d}"' if as_number else f'"zoë-{customer:05d}"'
    return f'"c-{customer:05d}"'


def _basket(draw: Callable[[], float], money: _Money, *, as_numbers: bool) -> tuple[str, int]:
    """Return the JSON of one to three lines and what they cost together with the postage, in minor units."""
    total = 0
    lines = []
    for _ in range(1 + int(draw() * 3)):
        ware = int(draw() * draw() * len(_SKUS))  # some sell better than others
        qty = 1 + int(draw() * draw() * 5)
        price = (199 + ware * 37 % 9_000) * money.per_pound
        total += qty * price
        text = f'"{qty}"' if as_numbers and qty > 2 else str(qty)
        lines.append(f'{{"sku":"{_SKUS[ware]}","qty":{text},"price":{_amount(price, money, as_number=as_numbers)}}}')
    if draw() < 0.25:
        total += 395 * money.per_pound
    return ",".join(lines), total


def _amount(minor: int, money: _Money, *, as_number: bool) -> str:
    """Return the JSON of an amount: exact as text, or as the number that a shop's floats would have made of it."""
    if money.decimals == 0:
        return str(minor) if as_number else f'"{minor}"'
    scale = 1_000 if money.decimals == 3 else 100
    if as_number:
        return repr(minor / scale + 3e-15 * (minor % 3))
    whole, part = divmod(minor, scale)
    return f'"{whole}.{part:03d}"' if scale == 1_000 else f'"{whole}.{part:02d}"'


def _stamps(start: datetime) -> Callable[[int, int], str]:
    """Return a function from ms since `start` and an index into `_CLOCKS` to a time as that shop writes it."""
    begin = start.astimezone(UTC)
    minutes: list[tuple[int | None, str]] = [(None, "")] * len(_CLOCKS)

    def stamp(elapsed_ms: int, clock: int) -> str:
        east, suffix, digits, behind_ms = _CLOCKS[clock]
        seconds, ms = divmod(elapsed_ms + offset_ms - behind_ms, 1_000)
        minute, second = divmod(seconds, 60)
        known, text = minutes[clock]
        if known != minute:
            text = (floor + timedelta(minutes=minute + east)).strftime("%Y-%m-%dT%H:%M")
            minutes[clock] = (minute, text)
        if digits == 0:
            return f"{text}:{second:02d}{suffix}"
        return f"{text}:{second:02d}.{ms:03d}{'000' if digits == 6 else ''}{suffix}"

    floor = begin.replace(second=0, microsecond=0)
    offset_ms = begin.second * 1_000 + begin.microsecond // 1_000
    return stamp
