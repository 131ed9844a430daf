"""`/customers` and `/products`: lists by size, and each customer and product."""

from app.delivery.selecting import Selection
from app.views import VIEWS
from app.web.errors import unknown
from app.web.pages.live import Asked, Look, View
from app.web.pages.revenue import Shop
from app.web.parameters import id_in_path, limit_in, parameters
from app.web.reading.letters import letters_page
from app.web.reading.lists import MOST, Lists, read_sort
from app.web.reading.orders import customer_orders
from app.web.reading.queries import ByKey
from app.web.reading.ranking import SORTS
from app.web.reading.whole import Reading
from models.letters import STATES, letter_view

ROWS = 25
ORDERS = 50
LETTERS = 20


def list_page(lists: Lists, shop: Shop, table: str) -> Look:
    """Return what looks up a list of totals."""

    async def look(asked: Asked) -> View:
        given = parameters(asked, ("sort", "limit", "cursor"))
        sort = read_sort(table, given.get("sort", ""))
        limit = limit_in(given, ROWS, MOST)
        found = await lists.page(sort, limit, given.get("cursor", ""))
        context = {
            "rows": found.rows,
            "following": found.following,
            "sort": sort,
            "limit": limit,
            "sorts": SORTS[table],
            "currencies": await shop.currencies(),
            "first": "cursor" not in given,
        }
        return View(f"{table}.html", table, context)

    return look


def customer_page(reading: Reading) -> Look:
    """Return what looks up one customer."""

    async def look(asked: Asked) -> View:
        parameters(asked)
        customer_id = id_in_path(asked, "customer")
        rows = await reading.of_customer(ByKey("customers", customer_id), customer_id)
        letters = (
            await letters_page(reading, Selection(customer_ids=(customer_id,), states=STATES), "", LETTERS)
        ).letters
        if not rows and not letters:
            raise unknown("customer", customer_id)
        context = {
            "customer_id": customer_id,
            "customer": VIEWS["customers"].view(customer_id, rows[customer_id]) if rows else None,
            "orders": await customer_orders(reading, customer_id, ORDERS),
            "letters": [letter_view(*named) for named in letters.items()],
        }
        return View("customer.html", "customers", context)

    return look


def product_page(reading: Reading) -> Look:
    """Return what looks up one product."""

    async def look(asked: Asked) -> View:
        parameters(asked)
        sku = id_in_path(asked, "product")
        rows = await reading.of_all(ByKey("products", sku))
        if not rows:
            raise unknown("product", sku)
        return View("product.html", "products", {"product": VIEWS["products"].view(sku, rows[sku])})

    return look
