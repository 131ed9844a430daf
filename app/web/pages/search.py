"""`/search`: whatever has a given id: orders, customers, products, dead letters, events."""

from typing import Any, NamedTuple
from urllib.parse import quote

from aiohttp import web

from app.delivery.selecting import Selection, is_id
from app.topics import LETTERS_TABLE, ORDERS_TABLE
from app.views import VIEWS, can_be_id
from app.web.pages.rendering import page, rendered
from app.web.parameters import parameters
from app.web.reading.letters import letters_of, letters_page
from app.web.reading.orders import OrderView, orders_of_id
from app.web.reading.queries import ByKey, ByText
from app.web.reading.whole import Reading
from models.letters import STATES
from models.order import has_accepted

MOST = 20


class Hit(NamedTuple):
    """Something that was found, and where it is shown."""

    kind: str
    name: str
    where: str


def search_routes(reading: Reading) -> list[web.RouteDef]:
    """Return the route of the search."""

    async def search(request: web.Request) -> web.Response:
        given = parameters(request, ("q",)).get("q", "")
        text = given.strip()
        tried = dict.fromkeys(filter(can_be_id, (text, given)))  # as it is, too: spaces may be a part of an id
        hits = [hit for each in tried for hit in await find(reading, each)]
        if len(hits) == 1:
            return web.Response(status=303, headers={"Location": hits[0].where})
        return page(rendered("search.html", {"text": text, "hits": hits, "place": "search", "live": None}))

    return [web.get("/search", search)]


async def find(reading: Reading, text: str) -> list[Hit]:
    """Return what has an id: itself, or else events and dead letters that name it."""
    hits = [_order_hit(order) for order in await orders_of_id(reading, text)]
    hits += [
        Hit(kind, text, f"/{table}/{quote(text, safe='')}")
        for table, kind in (("customers", "customer"), ("products", "product"))
        if await _exists(reading, table, text)
    ]
    if is_id(text):
        hits += [_letter_hit(name) for name in await letters_of(reading, frozenset((text,)), brief=True)]
    return hits or [*await _of_event(reading, text), *await _of_letters(reading, text)]


async def _exists(reading: Reading, table: str, key: str) -> bool:
    view, query = VIEWS[table], ByKey(table, key)
    rows = await (reading.of_all(query) if view.customer_of is None else reading.of_customer(query, key))
    return key in rows


async def _of_event(reading: Reading, event_id: str) -> list[Hit]:
    """Return the orders that have accepted an event of that id."""
    rows = await reading.of_all(ByText(ORDERS_TABLE, event_id, MOST))
    view = VIEWS[ORDERS_TABLE].view
    return [_order_hit(view(key, row)) for key, row in rows.items() if has_accepted(row, event_id)]


async def _of_letters(reading: Reading, text: str) -> list[Hit]:
    """Return the dead letters of events that name an id, as their own, their order's or their customer's."""
    by_event = await reading.of_all(ByText(LETTERS_TABLE, text, MOST))
    names = {name: None for name, letter in by_event.items() if letter.event_id == text}
    for field in ("order_ids", "customer_ids"):
        selection = Selection(states=STATES, **{field: (text,)})  # type: ignore[arg-type]
        names |= dict.fromkeys((await letters_page(reading, selection, "", MOST)).letters)
    return [_letter_hit(name) for name in names]


def _order_hit(order: OrderView) -> Hit:
    order_id, customer_id = (quote(str(order[name]), safe="") for name in ("order_id", "customer_id"))
    name = f"{order['order_id']} of customer {order['customer_id']}"
    return Hit("order", name, f"/orders/{order_id}?customer_id={customer_id}")


def _letter_hit(name: Any) -> Hit:
    return Hit("dead letter", name, f"/dead-letters/{name}")
