"""Pages that are looked at while events flow: they change by themselves, and take nothing out of anybody's hands."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import NewSite
from tests.browser.site import Site, created
from tests.browser.visitor import PHONE, Visitor, is_marked, mark, wait_until_live
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def site(browser: Browser, new_site: NewSite) -> Site:
    """A site whose worker may be killed: others take it for dead after two seconds."""
    return new_site(ORDERS_SESSION_TIMEOUT="2")


def accepted(page: Page) -> int:
    """Return the number of accepted events that the dashboard shows."""
    return int(page.locator("#accepted").inner_text().replace(",", ""))


def changes(*parts: Locator) -> None:
    """Wait until every part of a page is another one than now."""
    before = [part.evaluate("part => part.outerHTML") for part in parts]

    def changed() -> bool:
        now = [part.evaluate("part => part.outerHTML") for part in parts]
        return all(a != b for a, b in zip(before, now, strict=True))

    wait_until(changed, 15, "other figures")


@pytest.fixture(scope="module")
def flow(site: Site) -> Iterator[None]:
    """Events that come all the time."""
    with site.flow("--seed", "5", "--rate", "40"):
        yield


def test_the_dashboard_follows_what_happens(site: Site, flow: None, visitor: Visitor) -> None:
    """Accepted events, events per second, the chart of revenue and the orders changed last: all without a reload."""
    page = visitor.open("/")
    wait_until_live(page)
    mark(page)
    orders = page.locator("section", has=page.get_by_role("heading", name="Orders changed last"))
    expect(page.locator("#accepted")).not_to_have_text("0")
    expect(page.locator("#rate")).to_have_text(re.compile(r"^[1-9][0-9]*\.[0-9]$"))
    changes(page.locator("#accepted"), page.locator("#rate"), page.locator("svg.chart"), orders.locator("tbody"))
    before = accepted(page)
    wait_until(lambda: accepted(page) > before, 15, f"more than {before} accepted events")
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("svg.line polyline")).to_have_attribute("points", re.compile(r"^\d+.* \d+"))
    expect(orders.locator("tbody tr")).to_have_count(10)
    assert is_marked(page)


@pytest.mark.long
def test_the_focus_stays_where_it_is(site: Site, flow: None, visitor: Visitor) -> None:
    """Whoever goes through a page by keyboard is not thrown back to its beginning by each change."""
    page = visitor.open("/")
    wait_until_live(page)
    link = page.locator("#open-letters a")
    link.focus()
    changes(page.locator("#accepted"), page.locator("#rate"))
    expect(link).to_be_focused()


@pytest.mark.long
def test_a_table_stays_where_it_was_scrolled_to(site: Site, flow: None, visitor: Visitor) -> None:
    """On a phone, where tables are wider than the screen."""
    page = visitor.open("/", viewport=PHONE)
    wait_until_live(page)
    table = page.locator(".scroll", has=page.locator("time")).first
    table.evaluate("part => { part.scrollLeft = 60; window.scrollTo(0, 400); }")
    changes(page.locator("#accepted"), page.locator("#rate"))
    assert table.evaluate("part => [part.scrollLeft, window.scrollY]") == [60, 400]


@pytest.mark.long
def test_the_sign_speaks_only_when_it_changes(site: Site, flow: None, visitor: Visitor) -> None:
    """A screen reader reads it out: once for "live", not with every figure."""
    page = visitor.open("/")
    wait_until_live(page)
    page.evaluate(
        "window.said = 0;"
        "new MutationObserver(() => { window.said += 1; })"
        ".observe(document.getElementById('connection'), {childList: true, characterData: true, subtree: true});"
    )
    changes(page.locator("#accepted"))
    changes(page.locator("#accepted"))
    assert page.evaluate("window.said") == 0


def test_what_is_being_written_is_left_alone(site: Site, visitor: Visitor) -> None:
    """The form to mend a letter keeps its text while the letter changes."""
    wrong = created("o-written", "c-written", total_amount="12,50")
    letter = site.letter(wrong)
    page = visitor.open(f"/dead-letters/{letter}")
    wait_until_live(page)
    page.get_by_text("Mend and redrive").click()
    page.get_by_label("The event").fill("half a thou")
    before = messages(page)
    site.ask("redrive", letter)
    wait_until(lambda: messages(page) > before, 15, "news of the letter")
    expect(page.get_by_label("The event")).to_have_value("half a thou")
    expect(page.get_by_label("The event")).to_be_focused()
    assert site.letter_of(wrong)["attempts"] == 2


def test_what_was_chosen_stays_chosen(site: Site, visitor: Visitor) -> None:
    """A list in which boxes are checked stays as it is, also if a letter in it has been purged by somebody else."""
    letters = [site.letter(created(f"o-chosen-{number}", "c-chosen", total_amount="12,50")) for number in range(2)]
    page = visitor.open("/dead-letters?customer_id=c-chosen")
    wait_until_live(page)
    page.get_by_label(f"Letter {letters[1]}").check()
    before = messages(page)
    site.ask("purge", letters[0])
    wait_until(lambda: messages(page) > before, 15, "news of the letters")
    expect(page.get_by_label(f"Letter {letters[1]}")).to_be_checked()
    expect(page.locator("tbody tr")).to_have_count(2)


@pytest.mark.long
def test_a_page_that_nobody_sees_asks_for_nothing(site: Site, visitor: Visitor) -> None:
    """In the background it gives its connection back; it is up to date again once somebody looks at it."""
    page, quiet = visitor.open("/"), visitor.open("/dead-letters?customer_id=c-nobody")
    for each in (page, quiet):
        wait_until_live(each)
        hide(each, hidden=True)
        expect(each.locator("#connection")).to_have_text("paused")
    wait_until(lambda: "orderflow_web_streams 0.0" in site.text("/metrics"), 5, "the end of the stream")
    before = accepted(page)
    site.order(created("o-unseen", "c-unseen"))
    assert accepted(page) == before
    hide(page, hidden=False)
    wait_until_live(page)
    wait_until(lambda: accepted(page) > before, 15, f"more than {before} accepted events")


def test_a_page_finds_back_to_a_worker_that_was_killed(site: Site, flow: None, visitor: Visitor) -> None:
    """It says meanwhile that it is reconnecting, and goes on by itself with new figures once the worker is back."""
    visitor.expect(r"net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)")
    visitor.expect("status of 503")
    page = visitor.open("/")
    wait_until_live(page)
    mark(page)
    site.worker.kill()
    expect(page.locator("#connection")).to_have_text("reconnecting")
    before = accepted(page)
    refused = visitor.failed_streams
    wait_until(lambda: bool(page.title()) and visitor.failed_streams > refused + 1, 15, "more attempts")
    expect(page.locator("#connection")).to_have_text("reconnecting")
    site.worker.start()
    site.wait_until_ready()
    expect(page.locator("#connection")).to_have_text("live")
    wait_until(lambda: accepted(page) > before, 15, f"more than {before} accepted events")
    assert is_marked(page)


def messages(page: Page) -> int:
    """Return how many changes have arrived at a page."""
    count: int = page.evaluate("window.messages")
    return count


def hide(page: Page, *, hidden: bool) -> None:
    """Let a page believe that it is in the background, or not."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', {configurable: true, value: hidden});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )
