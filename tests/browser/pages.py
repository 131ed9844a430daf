"""Every page of a site, with something on each of them."""

from typing import NamedTuple

from tests.browser.site import Site, created, later, path_of

LONG = "x" * 255
"""As long as an id may be, and nothing in it where a line could end."""

SHOWN = created("o-shown", "c-shown", items=[{"sku": "mug-shown", "qty": 1, "price": "20.00"}])
WRONG = created("o-wrong", "c-shown", total_amount="20,00")
LARGE = created(LONG, LONG, items=[{"sku": LONG, "qty": 1, "price": "20.00"}])
LARGE_WRONG = created(f"w{LONG[1:]}", LONG, total_amount=LONG)


class Known(NamedTuple):
    """A page, and a text in it."""

    path: str
    text: str


def furnish(site: Site) -> dict[str, Known]:
    """Send the site some events, and return its pages by what they are."""
    site.sample(300, "--invalid", "0.05", "--seed", "4")
    site.order(SHOWN, later("paid", SHOWN))
    site.order(LARGE)
    letter, large_letter = site.letter(WRONG), site.letter(LARGE_WRONG)
    return {
        "dashboard": Known("/", "Accepted"),
        "orders": Known("/orders", "o-shown"),
        "order": Known(path_of(SHOWN), "20.00 GBP"),
        "large order": Known(path_of(LARGE), LONG),
        "customers": Known("/customers", "Last order (UTC)"),
        "sorted customers": Known("/customers?sort=-net:GBP&limit=10", "Next page"),
        "customer": Known("/customers/c-shown", "1 of them open"),
        "large customer": Known(f"/customers/{LONG}", LONG),
        "products": Known("/products", "Cancelled"),
        "product": Known("/products/mug-shown", "Pieces sold"),
        "large product": Known(f"/products/{LONG}", LONG),
        "revenue": Known("/revenue", "by minute (UTC)"),
        "letters": Known("/dead-letters", "Redrive the chosen"),
        "letter": Known(f"/dead-letters/{letter}", "total_amount: must be an amount"),
        "large letter": Known(f"/dead-letters/{large_letter}", LONG[1:]),
        "search": Known("/search", "Type the id"),
        "large search": Known(f"/search?q=y{LONG[1:]}", LONG[1:]),
        "much found": Known(f"/search?q={LONG}", "3 have the id"),
        "log-in": Known("/login", "No token is set here"),
        "nothing": Known(f"/orders/y{LONG[1:]}", "there is no order"),
    }
