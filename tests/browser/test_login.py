"""Who may see the pages and change something: whoever gave the token; or everybody, for reading alone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.audit import FAULTS
from tests.browser.conftest import NewSite
from tests.browser.site import Site, created
from tests.browser.visitor import Visitor, wait_until_live

pytestmark = pytest.mark.long

TOKEN = "a token, of course: ü"


@pytest.fixture(scope="module")
def site(browser: Browser, new_site: NewSite) -> Site:
    """A site that asks everybody for the token."""
    return new_site(ORDERS_WEB_TOKEN=TOKEN)


@pytest.fixture(scope="module")
def open_site(browser: Browser, new_site: NewSite) -> Site:
    """A site that asks for the token only before it changes something."""
    return new_site(ORDERS_WEB_TOKEN=TOKEN, ORDERS_WEB_OPEN_READING="true")


@pytest.fixture
def reader(browser: Browser, open_site: Site) -> Iterator[Visitor]:
    """Somebody who looks at that."""
    with Visitor(browser, open_site.url) as reader:
        yield reader


def log_in(page: Page, token: str = TOKEN) -> None:
    """Give a token."""
    page.get_by_label("The token").fill(token)
    page.get_by_role("button", name="Log in").click()


def test_the_front_page_asks_for_the_token(site: Site, visitor: Visitor) -> None:
    """A wrong one is told, the right one leads to the dashboard, which is live."""
    visitor.expect("status of 401")
    page = visitor.open("/")
    expect(page.locator("h1")).to_have_text("Log in")
    log_in(page, "a guess")
    expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    assert page.evaluate(FAULTS) == []
    log_in(page)
    expect(page.locator("h1")).to_contain_text("Dashboard")
    wait_until_live(page)
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")


def test_the_token_leads_back_to_what_was_asked_for(site: Site, visitor: Visitor) -> None:
    """With all that its address says; then a letter can be redriven, and nothing is shown after the log-out."""
    visitor.expect("status of 401")
    wrong = created("o-asked", "c-asked", total_amount="20,00")
    letter = site.letter(wrong)
    page = visitor.open("/dead-letters?customer_id=c-asked&cause=invalid_event")
    log_in(page, "another guess")
    log_in(page)
    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.url == f"{site.url}/dead-letters?customer_id=c-asked&cause=invalid_event"
    page.get_by_role("link", name=letter, exact=True).click()
    page.get_by_role("button", name="Redrive", exact=True).click()
    expect(page.locator("dl").first).to_contain_text("2, 1 redrive")

    page.get_by_role("link", name="Access").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("h1")).to_have_text("Log in")
    for path in ("/", "/orders", f"/dead-letters/{letter}", "/search?q=o-asked"):
        page.goto(path)
        expect(page.locator("h1")).to_have_text("Log in")
        expect(page.locator("body")).not_to_contain_text("o-asked")
    for path in ("/live/", "/api/status", "/metrics"):
        assert page.request.get(path).status == 401, path


def test_a_link_of_somebody_else_leads_nowhere_else(site: Site, visitor: Visitor) -> None:
    """The log-in leads to pages of this site only."""
    for foreign in ("https://example.com/", "//example.com/", "/\\example.com/", "javascript:alert(1)"):
        page = visitor.open("/")
        page.goto(f"/login?next={foreign}")
        log_in(page)
        expect(page.locator("h1")).to_contain_text("Dashboard")
        assert page.url == f"{site.url}/"


def test_reading_may_be_open(open_site: Site, reader: Visitor) -> None:
    """Everything is shown; a redrive leads to the log-in, that back to the letter, and then it works."""
    letter = open_site.letter(created("o-open", "c-open", total_amount="20,00"))
    page = reader.open("/")
    wait_until_live(page)
    page.get_by_role("navigation").get_by_role("link", name="Dead letters").click()
    page.get_by_role("link", name=letter, exact=True).click()
    page.get_by_role("button", name="Redrive", exact=True).click()
    expect(page.locator("h1")).to_have_text("Log in")
    assert open_site.get(f"/api/dead-letters/{letter}")["redrives"] == 0
    log_in(page)
    expect(page.locator("h1")).to_contain_text(f"Dead letter {letter}")
    page.get_by_role("button", name="Redrive", exact=True).click()
    expect(page.locator("dl").first).to_contain_text("2, 1 redrive")


def test_a_list_leads_back_to_itself(open_site: Site, reader: Visitor) -> None:
    """The same for letters that were chosen in a list."""
    letter = open_site.letter(created("o-list", "c-list", total_amount="20,00"))
    page = reader.open("/dead-letters")
    page.get_by_label(f"Letter {letter}").check()
    page.get_by_role("button", name="Purge the chosen").click()
    log_in(page)
    expect(page.locator("h1")).to_have_text("Dead letters")
    page.get_by_label(f"Letter {letter}").check()
    page.get_by_role("button", name="Purge the chosen").click()
    expect(page.get_by_label(f"Letter {letter}")).to_have_count(0)
