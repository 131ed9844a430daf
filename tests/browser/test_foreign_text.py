"""Whatever shops send as ids and values is text on every page, and never a part of the page.

The pages forbid scripts that stand in them; here the browser does not heed that, so that nothing but escaping helps.
"""

from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.site import Event, Site, created, later, path_of
from tests.browser.visitor import Visitor, is_marked, mark, wait_until_live

pytestmark = pytest.mark.long

TEXTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</textarea></pre></title><svg/onload=alert(1)>",
    "{{ 7 * 7 }}",
    "a/b?c=d&amp;e#f%20g",
)
FOREIGN = "main :is(script, img, svg:not(.chart, .line), iframe, object), body > :not(header, main, footer), title *"
"""What no page has by itself."""


def order_of(text: str) -> Event:
    """Return an event that says a text wherever it can."""
    return created(text, text, items=[{"sku": text, "qty": 1, "price": "20.00"}], event_id=f"e {text}")


def wrong_of(text: str) -> Event:
    """Return one that says it where that is wrong."""
    return created(f"wrong {text}", text, total_amount=text, event_id=text, note=text)


@pytest.fixture(scope="module")
def letters(site: Site) -> dict[str, str]:
    """Send all of it; returns the ids of letters by what they say."""
    for text in TEXTS:
        site.order(order_of(text))
    return {text: site.letter(wrong_of(text)) for text in TEXTS}


def test_it_is_text_in_lists(site: Site, visitor: Visitor, letters: dict[str, str]) -> None:
    """On the dashboard, too."""
    page = visitor.open("/", bypass_csp=True)
    for path in ("/", "/orders", "/customers", "/products", "/dead-letters"):
        page.goto(path)
        wait_until_live(page)
        for text in TEXTS:
            says(page, text)


@pytest.mark.parametrize("text", TEXTS)
def test_it_is_text_on_pages_of_its_own(site: Site, visitor: Visitor, letters: dict[str, str], text: str) -> None:
    """Of the order, customer, product and letter, of a search and a choice, and where there is no such thing."""
    visitor.expect("status of (400|404)")
    page = visitor.open("/orders", bypass_csp=True)
    encoded = quote(text, safe="")
    paths = [path_of(order_of(text)), f"/customers/{encoded}", f"/products/{encoded}"]
    for path in (*paths, f"/dead-letters/{letters[text]}", f"/dead-letters?customer_id={encoded}"):
        page.goto(path)
        wait_until_live(page)
        says(page, text)
    for path in (f"/search?q={encoded}", f"/search?q=no{encoded}", f"/orders/no{encoded}", f"/revenue?from={encoded}"):
        page.goto(path)
        says(page, text)
    page.goto(f"/login?next={encoded}")
    assert page.locator(FOREIGN).count() == 0


def test_it_leads_where_it_says(site: Site, visitor: Visitor, letters: dict[str, str]) -> None:
    """Links lead to the order, customer and product of that very id."""
    page = visitor.open("/orders", bypass_csp=True)
    for text in TEXTS[-3:]:
        page.goto("/orders")
        page.get_by_role("cell", name=text, exact=True).first.get_by_role("link").click()
        expect(page.locator("h1")).to_have_text(f"Order {text} created")
        page.locator("section", has_text="Items").get_by_role("link", name=text, exact=True).click()
        expect(page.locator("h1")).to_have_text(f"Product {text}")
        page.go_back()
        page.locator("dl").get_by_role("link", name=text, exact=True).click()
        expect(page.locator("h1")).to_have_text(f"Customer {text}")
        page.get_by_role("searchbox").fill(f"e {text}")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("h1")).to_have_text(f"Order {text} created")


def test_it_stays_text_when_a_page_changes(site: Site, visitor: Visitor, letters: dict[str, str]) -> None:
    """What arrives later is put into the page as text, too."""
    text = "<img src=x onerror=alert(2)>"
    order, wrong = order_of(text), wrong_of(text)
    pages = [visitor.open(path, bypass_csp=True) for path in ("/", "/orders", "/dead-letters", "/customers")]
    for page in pages:
        wait_until_live(page)
        mark(page)
    site.order(order)
    site.letter(wrong)
    pages.append(visitor.open(path_of(order), bypass_csp=True))
    mark(pages[-1])
    wait_until_live(pages[-1])
    site.send(later("paid", order, event_id=f"paid {text}"))
    expect(pages[-1].locator("h1 .badge")).to_have_text("paid")
    for page in pages:
        says(page, text)
        assert is_marked(page)


def says(page: Page, text: str) -> None:
    """Check that a page has a text in it, and nothing that the text would be if it were a part of the page."""
    expect(page.locator("main")).to_contain_text(text)
    assert page.locator(FOREIGN).count() == 0, page.url
