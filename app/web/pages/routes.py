"""Which page is where."""

from pathlib import Path

from aiohttp import web

from app.metrics import Metrics
from app.web.deeds import Deeds
from app.web.guard.auth import Tokens
from app.web.guard.limits import ENDLESS
from app.web.pages.dashboard import dashboard
from app.web.pages.letters import letter_deeds, letter_page, letters_list
from app.web.pages.live import LIVE, LivePages
from app.web.pages.login import login_routes
from app.web.pages.orders import order_page, orders_page
from app.web.pages.revenue import Shop, revenue_page
from app.web.pages.search import search_routes
from app.web.pages.totals import customer_page, list_page, product_page
from app.web.reading.group import Group
from app.web.reading.lists import Lists
from app.web.reading.whole import Reading

STATIC = Path(__file__).parent / "static"


def add_pages(
    web_app: web.Application,
    reading: Reading,
    group: Group,
    lists: Lists,
    deeds: Deeds,
    tokens: Tokens,
    metrics: Metrics,
) -> None:
    """Add all pages to a web application."""
    live, shop = LivePages(metrics.streams), Shop(reading)
    pages = {
        "/": dashboard(reading, group, shop),
        "/orders": orders_page(reading),
        "/orders/{id:[^/]+}": order_page(reading),
        "/customers": list_page(lists, shop, "customers"),
        "/customers/{id:[^/]+}": customer_page(reading),
        "/products": list_page(lists, shop, "products"),
        "/products/{id:[^/]+}": product_page(reading),
        "/revenue": revenue_page(reading, shop),
        "/dead-letters": letters_list(reading),
        "/dead-letters/{id:[0-9]{1,9}-[0-9]{1,18}}": letter_page(reading),
    }
    for path, look in pages.items():
        web_app.add_routes(live.routes(path, look))
    web_app[ENDLESS] = {
        route.resource.canonical
        for route in web_app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith(LIVE + "/")
    }
    web_app.add_routes([*letter_deeds(deeds), *search_routes(reading), *login_routes(tokens)])
    web_app.add_routes([web.get("/static/{name:[a-z.-]+}", _static)])

    async def stop(_web_app: web.Application) -> None:
        live.stop()

    web_app.on_shutdown.append(stop)


async def _static(request: web.Request) -> web.StreamResponse:
    """Style and script: two files, known by name."""
    path = STATIC / request.match_info["name"]
    if path.suffix not in {".css", ".js", ".svg"} or not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Cache-Control": "max-age=300"})
