"""`/`: how everything stands, at a glance."""

import time
from collections import deque
from typing import Any, NamedTuple

from app.web.errors import ApiError
from app.web.pages.charts import line
from app.web.pages.live import Asked, Look, View
from app.web.pages.revenue import Shop
from app.web.parameters import parameters
from app.web.reading.costly import Costly
from app.web.reading.group import Group
from app.web.reading.orders import recent_orders
from app.web.reading.whole import Reading

RECENT = 10
RATE_SECONDS = 5.0
"""Over how long a rate is taken, at least."""

REMEMBERED = 120


class _Sample(NamedTuple):
    at: float
    events: int


class Rates:
    """How many events a second there were lately, from their number as it was seen."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=REMEMBERED)

    def add(self, events: int) -> None:
        """Note a number of events, as of now."""
        self._samples.append(_Sample(time.monotonic(), events))

    @property
    def now(self) -> float | None:
        """Events per second over the last seconds; None as long as it is not known."""
        if not self._samples:
            return None
        last = self._samples[-1]
        before = [sample for sample in self._samples if last.at - sample.at >= RATE_SECONDS]
        since = before[-1] if before else self._samples[0]
        return max(0.0, (last.events - since.events) / (last.at - since.at)) if last.at > since.at else None

    @property
    def course(self) -> list[float]:
        """Events per second between each two samples."""
        pairs = zip(self._samples, list(self._samples)[1:], strict=False)
        return [max(0.0, (b.events - a.events) / (b.at - a.at)) for a, b in pairs if b.at > a.at]


def dashboard(reading: Reading, group: Group, shop: Shop) -> Look:
    """Return what looks up the dashboard."""
    status, rates = Costly(group.status), Rates()
    seen: list[Any] = [None]

    async def look(asked: Asked) -> View:
        parameters(asked)
        now = await status.get()
        if now is not seen[0]:
            seen[0] = now
            if now["complete"]:
                rates.add(sum(partition["next_offset"] for partition in now["partitions"]))
        try:
            orders, revenue = await recent_orders(reading, RECENT), await shop.lately()
        except ApiError as error:  # a partition is on the move: the rest of the page says so
            orders, revenue = [], None
            trouble = error.message
        else:
            trouble = ""
        context = {
            "status": now,
            "rate": rates.now,
            "course": line(rates.course),
            "orders": orders,
            "revenue": revenue,
            "trouble": trouble,
        }
        return View("dashboard.html", "dashboard", context)

    return look
