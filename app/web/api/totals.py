"""`/api/customers/{customer_id}` and `/api/products/{sku}`: the totals of one customer, of one product."""

from aiohttp import web
from aiohttp.typedefs import Handler

from app.views import VIEWS
from app.web.answers import answer
from app.web.api.parameters import id_in_path, parameters
from app.web.errors import unknown
from app.web.reading.queries import ByKey
from app.web.reading.whole import Reading


def total_routes(reading: Reading) -> list[web.RouteDef]:
    """Return the routes of totals by key."""
    return [
        web.get("/api/customers/{id:[^/]+}", _total(reading, "customers", "customer")),
        web.get("/api/products/{id:[^/]+}", _total(reading, "products", "product")),
    ]


def _total(reading: Reading, table: str, kind: str) -> Handler:
    view = VIEWS[table]

    async def get_total(request: web.Request) -> web.Response:
        key = id_in_path(request, kind)
        parameters(request)
        query = ByKey(table, key)
        if view.customer_of is not None:
            rows = await reading.of_customer(query, view.customer_of(key))
        else:
            rows = await reading.of_all(query)
        if key not in rows:
            raise unknown(kind, key)
        return answer(view.view(key, rows[key]))

    return get_total
