"""`/orders`: those that events have just changed, and each order with its life as a timeline."""

from app.delivery.selecting import Selection
from app.web.errors import ApiError, unknown
from app.web.pages.live import Asked, Look, View
from app.web.parameters import id_in_path, parameters
from app.web.reading.letters import letters_page
from app.web.reading.orders import OrderView, find_order, orders_of_id, recent_orders
from app.web.reading.whole import Reading
from models.letters import STATES, letter_view

RECENT = 50
LETTERS = 50


def orders_page(reading: Reading) -> Look:
    """Return what looks up the orders changed last."""

    async def look(asked: Asked) -> View:
        parameters(asked)
        return View("orders.html", "orders", {"orders": await recent_orders(reading, RECENT), "order_id": None})

    return look


def order_page(reading: Reading) -> Look:
    """Return what looks up one order."""

    async def look(asked: Asked) -> View:
        order_id = id_in_path(asked, "order")
        customer_id = parameters(asked, ("customer_id",)).get("customer_id")
        order: OrderView | None = None
        try:
            order = await find_order(reading, order_id, customer_id)
            customer_id = str(order["customer_id"])
        except ApiError as error:
            if error.code == "ambiguous_order":
                orders = await orders_of_id(reading, order_id)
                return View("orders.html", "orders", {"orders": orders, "order_id": order_id})
            if error.code != "unknown_order":
                raise
        customers = () if customer_id is None else (customer_id,)
        of_order = Selection(order_ids=(order_id,), customer_ids=customers, states=STATES)
        letters = (await letters_page(reading, of_order, "", LETTERS)).letters
        if order is None and not letters:
            raise unknown("order", order_id)
        shown = [letter_view(*named) for named in letters.items()]
        return View("order.html", "orders", {"order_id": order_id, "order": order, "letters": shown})

    return look
