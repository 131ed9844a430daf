"""`/api/orders/{order_id}`: an order as it stands."""

from aiohttp import web

from app.topics import ORDERS_TABLE
from app.views import VIEWS, can_be_id
from app.web.answers import answer
from app.web.api.parameters import id_in_path, parameters
from app.web.errors import ApiError, bad_parameter, unknown
from app.web.reading.queries import ByKey, BySecondKey
from app.web.reading.whole import Reading
from models.errors import shown
from models.order import order_key


def order_routes(reading: Reading) -> list[web.RouteDef]:
    """Return the routes of orders."""

    async def get_order(request: web.Request) -> web.Response:
        order_id = id_in_path(request, "order")
        customer_id = parameters(request, ("customer_id",)).get("customer_id")
        if customer_id is None:
            rows = await reading.of_all(BySecondKey(ORDERS_TABLE, order_id))
        elif can_be_id(customer_id):
            rows = await reading.of_customer(ByKey(ORDERS_TABLE, order_key(customer_id, order_id)), customer_id)
        else:
            raise bad_parameter("customer_id", f"must be the id of a customer, got {shown(customer_id)}")
        if not rows:
            raise unknown("order", order_id)
        if len(rows) > 1:
            raise ApiError(
                409,
                "ambiguous_order",
                f"{len(rows)} customers have an order {shown(order_id)}: say which one's with ?customer_id=…",
            )
        ((key, row),) = rows.items()
        return answer(VIEWS[ORDERS_TABLE].view(key, row))

    return [web.get("/api/orders/{id:[^/]+}", get_order)]
