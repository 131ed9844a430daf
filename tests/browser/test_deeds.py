"""Dead letters are mended, tried again and given up by clicks; what comes of it is seen without a reload."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import NewSite
from tests.browser.site import Site, created, later, path_of
from tests.browser.visitor import Visitor, is_marked, mark, wait_until_live


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of customers whose events are refused."""
    file = tmp_path_factory.mktemp("check") / "refused"
    file.write_text("")
    return file


@pytest.fixture(scope="module")
def site(browser: Browser, new_site: NewSite, refused: Path) -> Site:
    """A site with a check of its own."""
    return new_site(ORDERS_CHECK="tests.browser.refusing:check", REFUSED=str(refused))


def watched(visitor: Visitor, letter: str) -> Page:
    """Open a letter's page, where its state is to be seen without a reload."""
    page = visitor.open(f"/dead-letters/{letter}")
    wait_until_live(page)
    expect(page.locator("h1")).to_have_text(f"Dead letter {letter} dead")
    mark(page)
    return page


def test_a_letter_is_mended_and_redriven(site: Site, visitor: Visitor) -> None:
    """From the list to the letter, its text corrected: it becomes resolved under the eyes, and the order exists."""
    wrong = created("o-mended", "c-mended", total_amount="20,00")
    letter = site.letter(wrong)
    other = watched(visitor, letter)
    page = visitor.open("/dead-letters")
    row = page.locator("tr", has=page.get_by_role("link", name="o-mended"))
    expect(row).to_contain_text("invalid_event")
    row.get_by_role("link", name=letter, exact=True).click()
    expect(page.locator("main")).to_contain_text("total_amount: must be an amount")
    page.get_by_text("Mend and redrive").click()
    text = page.get_by_label("The event as it is to be tried")
    assert json.loads(text.input_value()) == wrong
    text.fill(text.input_value().replace("20,00", "20.00"))
    page.get_by_role("button", name="Redrive this").click()
    for each in (page, other):
        expect(each.locator("h1")).to_have_text(f"Dead letter {letter} resolved")
        expect(each.locator(".timeline strong")).to_have_text(["failed", "mended", "redriven", "accepted"])
        expect(each.get_by_role("button", name="Redrive")).to_have_count(0)
        expect(each.locator("main")).not_to_contain_text("Asked for")
    assert is_marked(other)
    page.get_by_role("link", name="o-mended").click()
    expect(page.locator("h1")).to_have_text("Order o-mended created")


def test_a_letter_is_redriven_as_it_is(site: Site, visitor: Visitor, refused: Path) -> None:
    """In vain while its cause lasts, which shows as another attempt; once that has gone it counts."""
    refused.write_text("c-plain\n")
    order = created("o-plain", "c-plain")
    letter = site.letter(order)
    page = visitor.open(f"/dead-letters/{letter}")
    page.get_by_role("button", name="Redrive", exact=True).click()
    expect(page.locator("dl").first).to_contain_text("2, 1 redrive")
    expect(page.locator("h1")).to_have_text(f"Dead letter {letter} dead")
    expect(page.locator("main")).to_contain_text("this customer owes us money")
    refused.write_text("")
    other = watched(visitor, letter)
    page.get_by_role("button", name="Redrive", exact=True).click()
    expect(other.locator("h1")).to_have_text(f"Dead letter {letter} resolved")
    assert is_marked(other)
    assert site.get(f"/api{path_of(order)}")["status"] == "created"


def test_a_letter_is_purged(site: Site, visitor: Visitor) -> None:
    """It is closed, and never counts."""
    order = created("o-purged", "c-purged", currency="ZZZ")
    letter = site.letter(order)
    other = watched(visitor, letter)
    page = visitor.open(f"/dead-letters/{letter}")
    page.get_by_role("button", name="Purge").click()
    expect(other.locator("h1")).to_have_text(f"Dead letter {letter} purged")
    assert is_marked(other)
    expect(page.locator("h1")).to_have_text(f"Dead letter {letter} purged")
    expect(page.get_by_role("button", name="Purge")).to_have_count(0)


def test_letters_are_chosen_by_boxes(site: Site, visitor: Visitor, refused: Path) -> None:
    """Those that were chosen are tried again, and leave the list by themselves; the others stay as they are."""
    refused.write_text("c-bulk\n")
    orders = [created(f"o-bulk-{number}", "c-bulk") for number in range(4)]
    letters = [site.letter(order) for order in orders]
    refused.write_text("")
    page = visitor.open("/dead-letters?customer_id=c-bulk")
    for letter in letters[:2]:
        page.get_by_label(f"Letter {letter}").check()
    page.get_by_role("button", name="Redrive the chosen").click()
    wait_until_live(page)
    for letter, shown in zip(letters, (0, 0, 1, 1), strict=True):
        expect(page.get_by_label(f"Letter {letter}")).to_have_count(shown)
    states = [site.letter_of(order)["state"] for order in orders]
    assert states == ["resolved", "resolved", "dead", "dead"]
    page.get_by_label(f"Letter {letters[2]}").check()
    page.get_by_role("button", name="Purge the chosen").click()
    expect(page.get_by_label(f"Letter {letters[2]}")).to_have_count(0)
    assert [site.letter_of(order)["state"] for order in orders] == ["resolved", "resolved", "purged", "dead"]


@pytest.mark.long
def test_the_next_page_asks_for_nothing(site: Site, visitor: Visitor) -> None:
    """Only the page that a deed leads to says that it was asked for."""
    for number in range(2):
        site.letter(created(f"o-next-{number}", "c-next", currency="ZZZ"))
    page = visitor.open("/dead-letters?asked=redrive&limit=1&customer_id=c-next")
    expect(page.get_by_role("status").first).to_contain_text("Asked for")
    page.get_by_role("link", name="Next page").click()
    expect(page.locator("tbody tr")).to_contain_text(["o-next-1"])
    expect(page.locator("main")).not_to_contain_text("Asked for")


@pytest.mark.long
def test_nothing_chosen_is_told(site: Site, visitor: Visitor) -> None:
    """So is what has been closed by somebody else meanwhile: nothing is asked for."""
    visitor.expect("status of (400|409)")
    order = created("o-late", "c-late", currency="ZZZ")
    letter = site.letter(order)
    page = visitor.open("/dead-letters?customer_id=c-late")
    page.get_by_role("button", name="Redrive the chosen").click()
    expect(page.locator("main")).to_contain_text("choose 1 to 1,000 letters")
    page.goto("/dead-letters?customer_id=c-late")
    page.get_by_label(f"Letter {letter}").check()
    other = visitor.open(f"/dead-letters/{letter}")
    other.get_by_role("button", name="Purge").click()
    expect(other.locator("h1")).to_contain_text("purged")
    page.get_by_role("button", name="Redrive the chosen").click()
    expect(page.locator("main")).to_contain_text("redrive is not possible")


def test_what_waits_behind_a_letter_follows_it(site: Site, visitor: Visitor) -> None:
    """A payment is parked behind its order's broken creation, cannot be redriven itself, and counts after it."""
    wrong = created("o-queue", "c-queue", total_amount="a lot")
    head = site.letter(wrong)
    site.send(later("paid", wrong))
    page = visitor.open("/dead-letters?order_id=o-queue")
    wait_until_live(page)
    expect(page.locator("tbody .badge")).to_have_text(["dead", "parked"])
    page.locator("tr", has_text="parked").get_by_role("link").first.click()
    expect(page.locator("main")).to_contain_text("It follows once")
    expect(page.get_by_role("button", name="Redrive")).to_have_count(0)
    wait_until_live(page)
    mark(page)
    mending = visitor.open(f"/dead-letters/{head}")
    mending.get_by_text("Mend and redrive").click()
    text = mending.get_by_label("The event as it is to be tried")
    text.fill(text.input_value().replace("a lot", "20.00"))
    mending.get_by_role("button", name="Redrive this").click()
    expect(page.locator("h1 .badge")).to_have_text("resolved")
    assert is_marked(page)
    assert site.get(f"/api{path_of(wrong)}")["status"] == "paid"
