"""`/api/orders`: an order as it stands; those of a customer, and those that events have just changed."""

from aiohttp import web

from app.views import can_be_id
from app.web.answers import answer
from app.web.errors import bad_parameter
from app.web.parameters import id_in_path, limit_in, parameters
from app.web.reading.orders import customer_orders, find_order, recent_orders
from app.web.reading.whole import Reading
from models.errors import shown

MOST = 100


def order_routes(reading: Reading) -> list[web.RouteDef]:
    """Return the routes of orders."""

    async def get_order(request: web.Request) -> web.Response:
        order_id = id_in_path(request, "order")
        return answer(await find_order(reading, order_id, parameters(request, ("customer_id",)).get("customer_id")))

    async def get_orders(request: web.Request) -> web.Response:
        given = parameters(request, ("customer_id", "limit"))
        limit, customer_id = limit_in(given, 20, MOST), given.get("customer_id")
        if customer_id is None:
            orders = await recent_orders(reading, limit)
        elif can_be_id(customer_id):
            orders = await customer_orders(reading, customer_id, limit)
        else:
            raise bad_parameter("customer_id", f"must be the id of a customer, got {shown(customer_id)}")
        return answer({"orders": orders})

    return [web.get("/api/orders", get_orders), web.get("/api/orders/{id:[^/]+}", get_order)]
