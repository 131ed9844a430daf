"""`/revenue`: money over time, as a chart and as a table."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from app.web.pages.charts import BarChart, bar_chart
from app.web.pages.live import Asked, Look, View
from app.web.parameters import currency_in, parameters, step_in, time_in
from app.web.reading.costly import Costly
from app.web.reading.queries import ByRange
from app.web.reading.revenue import STEPS, buckets, revenue_sums
from app.web.reading.whole import Reading, Rows
from models.aggregates import revenue
from models.keys import SEPARATOR

SHOWN = 60
"""Most buckets of a chart: the last ones."""

FEW = 2
"""Days, or hours, of which a chart shows parts."""

DAYS = {"1d": SHOWN, "1h": 3, "1m": 1}
"""How many of the last days are looked at for the buckets of a step."""

CODE = 3
"""Letters of a currency's code."""


class Course(NamedTuple):
    """How money went, in one currency: the last buckets of a step, and those before them that are not shown."""

    currency: str
    step: str
    chart: BarChart
    buckets: list[dict[str, Any]]
    hidden: int


class Shop:
    """What is known of all revenue: the currencies, and when there was any. Found out as often as it is worth."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._currencies = Costly(self._find_currencies)
        self._days: dict[str, Costly[list[str]]] = {}

    async def currencies(self) -> list[str]:
        """Return the currencies there are, that of most orders first."""
        return await self._currencies.get()

    async def lately(self, currency: str = "", step: str = "") -> Course | None:
        """Return the last buckets in which there was revenue; None: there was none yet. Raises `ApiError`.

        Those of days that are still to come, of a sender whose clock is wrong, are left out unless there are no others.
        Without a currency that of most orders is taken, without a step the finest with which a chart shows all.
        """
        currencies = await self.currencies()
        if not currencies:
            return None
        currency = currency or currencies[0]
        known, tomorrow = await self._days_of(currency), datetime.now(UTC) + timedelta(days=1)
        days = [day for day in known if day <= tomorrow.date().isoformat()] or known
        if not days:
            return Course(currency, step or "1d", bar_chart([]), [], 0)
        chosen = step or ("1d" if len(days) > FEW else "1h")
        last = datetime.fromisoformat(days[-1]).replace(tzinfo=UTC)
        start = last - timedelta(days=DAYS[chosen] - 1)
        end = None if days == known else last + timedelta(days=1)
        found = course(currency, chosen, await revenue_sums(self._reading, currency, start, end, chosen))
        if not step and chosen == "1h" and len(found.buckets) <= FEW:
            return course(currency, "1m", await revenue_sums(self._reading, currency, start, end, "1m"))
        return found

    async def _days_of(self, currency: str) -> list[str]:
        if currency not in self._days:

            async def find() -> list[str]:
                sums = await revenue_sums(self._reading, currency, None, None, "1d")
                return sorted(key.split(SEPARATOR)[1] for key in sums)

            self._days[currency] = Costly(find)
        return await self._days[currency].get()

    async def _find_currencies(self) -> list[str]:
        sums = await self._reading.of_all(ByRange(revenue.AGGREGATE.name, "", "~", CODE))
        return sorted(sums, key=lambda currency: (-sums[currency].orders, currency))


def course(currency: str, step: str, sums: Rows) -> Course:
    """Return what a chart and a table show of sums."""
    found = list(buckets(sums))
    shown = found[-SHOWN:]
    return Course(currency, step, bar_chart(shown), shown, len(found) - len(shown))


def revenue_page(reading: Reading, shop: Shop) -> Look:
    """Return what looks up the page of revenue."""

    async def look(asked: Asked) -> View:
        given = {name: value for name, value in parameters(asked, ("currency", "step", "from", "to")).items() if value}
        currency = currency_in(given) if "currency" in given else ""
        step = step_in(given) if "step" in given else ""
        found = await _course(given, currency, step)
        context = {"course": found, "currencies": await shop.currencies(), "given": given, "steps": list(STEPS)}
        return View("revenue.html", "revenue", context)

    async def _course(given: Mapping[str, str], currency: str, step: str) -> Course | None:
        start, end = time_in(given, "from"), time_in(given, "to")
        if start is None and end is None:
            return await shop.lately(currency, step)
        currencies = await shop.currencies()
        if not currency and not currencies:
            return None
        chosen, step = currency or currencies[0], step or "1h"
        return course(chosen, step, await revenue_sums(reading, chosen, start, end, step))

    return look
