"""`/api/revenue`: what came in and went back, by minute, hour or day."""

from datetime import datetime

from aiohttp import web

from app.web.answers import answer, encoded_list
from app.web.errors import bad_parameter
from app.web.parameters import currency_in, parameters, step_in, time_in
from app.web.reading.revenue import buckets, revenue_sums
from app.web.reading.whole import Reading


def revenue_routes(reading: Reading) -> list[web.RouteDef]:
    """Return the routes of revenue."""

    async def get_revenue(request: web.Request) -> web.Response:
        given = parameters(request, ("currency", "from", "to", "step"))
        currency, step = currency_in(given), step_in(given)
        start, end = time_in(given, "from"), time_in(given, "to")
        if start and end and end < start:
            raise bad_parameter("to", "must not be before from")
        sums = await revenue_sums(reading, currency, start, end, step)
        return answer(
            {
                "currency": currency,
                "from": _text(start),
                "to": _text(end),
                "step": step,
                "buckets": await encoded_list(buckets(sums)),
            }
        )

    return [web.get("/api/revenue", get_revenue)]


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
