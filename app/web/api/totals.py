"""`/api/customers` and `/api/products`: the totals of one customer or product, and sorted lists of them."""

from aiohttp import web
from aiohttp.typedefs import Handler

from app.views import VIEWS
from app.web.answers import answer
from app.web.errors import unknown
from app.web.parameters import id_in_path, limit_in, parameters
from app.web.reading.lists import MOST, Lists, read_sort
from app.web.reading.queries import ByKey
from app.web.reading.whole import Reading


def total_routes(reading: Reading, lists: Lists) -> list[web.RouteDef]:
    """Return the routes of totals."""
    return [
        web.get("/api/customers", _list(lists, "customers")),
        web.get("/api/products", _list(lists, "products")),
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


def _list(lists: Lists, table: str) -> Handler:
    async def get_list(request: web.Request) -> web.Response:
        given = parameters(request, ("sort", "limit", "cursor"))
        sort = read_sort(table, given.get("sort", ""))
        page = await lists.page(sort, limit_in(given, 20, MOST), given.get("cursor", ""))
        return answer({table: page.rows, "next": page.following})

    return get_list
