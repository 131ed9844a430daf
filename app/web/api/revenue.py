"""`/api/revenue`: what came in and went back, by minute, hour or day."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from app.web.answers import answer, encoded_list
from app.web.api.parameters import parameters, time_in
from app.web.errors import bad_parameter
from app.web.reading.queries import ByRange
from app.web.reading.whole import Reading, Rows
from models.aggregates import revenue
from models.errors import shown
from models.keys import SEPARATOR, join_key
from models.money import CURRENCIES

MINUTE = "0000-01-01T00:00"
STEPS = {"1m": len("0000-01-01T00:00"), "1h": len("0000-01-01T00"), "1d": len("0000-01-01")}
"""How much of a minute's name the minutes of a step have in common."""


def revenue_routes(reading: Reading) -> list[web.RouteDef]:
    """Return the routes of revenue."""

    async def get_revenue(request: web.Request) -> web.Response:
        given = parameters(request, ("currency", "from", "to", "step"))
        currency, step = _currency(given), _step(given)
        start, end = time_in(given, "from"), time_in(given, "to")
        if start and end and end < start:
            raise bad_parameter("to", "must not be before from")
        rows = await reading.of_all(
            ByRange(
                revenue.AGGREGATE.name,
                join_key(currency, _bound(start) if start else ""),
                join_key(currency, _bound(end)) if end else currency + chr(ord(SEPARATOR) + 1),
                len(join_key(currency, "")) + STEPS[step],
            )
        )
        return answer(
            {
                "currency": currency,
                "from": _text(start),
                "to": _text(end),
                "step": step,
                "buckets": await encoded_list(_buckets(rows)),
            }
        )

    return [web.get("/api/revenue", get_revenue)]


def _buckets(rows: Rows) -> Iterator[dict[str, Any]]:
    for key in sorted(rows):
        currency, start = key.split(SEPARATOR)
        yield revenue.view(join_key(currency, start + MINUTE[len(start) :]), rows[key])


def _currency(given: Mapping[str, str]) -> str:
    currency = given.get("currency")
    if currency is None:
        raise bad_parameter("currency", "is missing; say for instance ?currency=GBP")
    if currency not in CURRENCIES:
        raise bad_parameter("currency", f"must be a currency code of ISO 4217, got {shown(currency)}")
    return currency


def _step(given: Mapping[str, str]) -> str:
    step = given.get("step", "1m")
    if step not in STEPS:
        raise bad_parameter("step", f"must be one of {', '.join(STEPS)}, got {shown(step)}")
    return step


def _bound(moment: datetime) -> str:
    """Return a text that the minutes from `moment` on do not come before, and all earlier ones do."""
    minute = moment.isoformat()[:16]
    return minute if moment.second == moment.microsecond == 0 else minute + "~"


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
