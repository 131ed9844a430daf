"""What holds on every page: in both colour schemes, on a phone, without a script, by keyboard, read out."""

from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.audit import CLICKABLE, COLOURS, FAULTS, FOCUS
from tests.browser.pages import Known, furnish
from tests.browser.site import Site, created
from tests.browser.visitor import DESK, PHONE, SECONDS, Visitor, wait_until_live
from tests.waiting import wait_until

Pages = dict[str, Known]


class Look(NamedTuple):
    """What a page looks like. Colours are told by how light they are (0 to 765): ground, and what is written on it."""

    light: list[tuple[int, int]]
    dark: list[tuple[int, int]]
    width_on_phone: int
    faults: list[str]
    title: str


@pytest.fixture(scope="module")
def pages(site: Site) -> Pages:
    """All pages."""
    return furnish(site)


@pytest.fixture(scope="module")
def looks(browser: Browser, site: Site, pages: Pages) -> dict[str, Look]:
    """Look at every page once, in many ways; nothing fails then, and nothing is asked of another machine."""
    with Visitor(browser, site.url) as visitor:
        visitor.expect(r"status of 404.*/orders/y")
        page, looks = visitor.open("/"), {}
        for name, known in pages.items():
            page.set_viewport_size(DESK)
            page.emulate_media(color_scheme="light")
            look_at(page, visitor, known)
            light = page.evaluate(COLOURS)
            page.emulate_media(color_scheme="dark")
            dark = page.evaluate(COLOURS)
            for closed in page.locator("summary").all():
                closed.click()
            faults = page.evaluate(FAULTS)
            page.set_viewport_size(PHONE)
            width = page.evaluate("document.documentElement.scrollWidth")
            looks[name] = Look(light, dark, width, faults, page.title())
        return looks


def look_at(page: Page, visitor: Visitor, known: Known) -> None:
    """Go to a page and wait until it is complete, its live part among it."""
    page.goto(known.path)
    expect(page.locator("main")).to_contain_text(known.text)
    if page.locator("#connection").count():
        wait_until_live(page)
    visitor.settle(page)


def test_every_page_has_two_schemes_of_colours(looks: dict[str, Look]) -> None:
    """Dark on light, or light on dark; of the whole page, its head, and each of its cards."""
    for name, look in looks.items():
        assert all(ground > 600 and ink < 300 for ground, ink in look.light), name
        assert all(ground < 150 and ink > 500 for ground, ink in look.dark), name
        assert len(look.light) == len(look.dark) >= 2


def test_no_page_is_wider_than_a_phone(looks: dict[str, Look]) -> None:
    """Tables scroll by themselves, whatever is in them; the page as a whole does not, sideways."""
    assert {name: look.width_on_phone for name, look in looks.items() if look.width_on_phone > PHONE["width"]} == {}


def test_screen_readers_find_their_way(looks: dict[str, Look]) -> None:
    """A language, one title, a label on everything that can be filled in, a text on everything that can be clicked."""
    assert {name: look.faults for name, look in looks.items() if look.faults} == {}
    assert [look.title for look in looks.values() if not look.title.endswith(" · Orderflow")] == []
    assert len({look.title for look in looks.values()}) > len(looks) / 2


@pytest.mark.long
def test_the_focus_can_be_seen(site: Site, visitor: Visitor, pages: Pages) -> None:
    """Whoever goes through a page by the Tab key sees where he is, and comes by everything that can be clicked."""
    for name in ("dashboard", "letters", "letter"):
        page = visitor.open(pages[name].path)
        wait_until_live(page)
        missed = page.evaluate(CLICKABLE)
        while missed:
            page.keyboard.press("Tab")
            at, missed, outline = page.evaluate(FOCUS)
            assert at is not None, f"no key leads to {missed}"
            assert outline == ["solid", "2px", True], at


def test_the_pages_can_be_read_without_a_script(site: Site, visitor: Visitor, pages: Pages) -> None:
    """Every page shows its figures; it asks for nothing but its style."""
    visitor.expect(r"status of 404.*/orders/y")
    page = visitor.open("/", java_script_enabled=False)
    for path, text in pages.values():
        page.goto(path)
        expect(page.locator("main")).to_contain_text(text)
    page.goto("/")
    accepted = site.get("/api/status")["outcomes"]["accepted"]
    expect(page.locator("#accepted")).to_have_text(f"{accepted:,}")
    expect(page.locator("svg.chart rect.gross")).not_to_have_count(0)
    expect(page.locator("#connection")).to_have_text("static")


def test_a_letter_is_redriven_without_a_script(site: Site, visitor: Visitor) -> None:
    """The forms lead to the letter; what came of it is there when the page is loaded again."""
    wrong = created("o-no-script", "c-no-script", total_amount="20,00")
    letter = site.letter(wrong)
    page = visitor.open(f"/dead-letters/{letter}", java_script_enabled=False)
    page.get_by_text("Mend and redrive").click()
    text = page.get_by_label("The event as it is to be tried")
    text.fill(text.input_value().replace("20,00", "20.00"))
    page.get_by_role("button", name="Redrive this").click()
    expect(page.locator("h1")).to_contain_text(f"Dead letter {letter}")

    def resolved() -> bool:
        page.reload()
        return "resolved" in page.locator("h1").inner_text()

    wait_until(resolved, SECONDS, "a resolved letter")
    page.get_by_role("link", name="o-no-script").click()
    expect(page.locator("h1")).to_have_text("Order o-no-script created")


@pytest.mark.long
def test_the_dashboard_loads_itself_again_without_a_script(site: Site, visitor: Visitor) -> None:
    """Every few seconds, so that it is up to date."""
    page = visitor.open("/", java_script_enabled=False)
    before = page.locator("#accepted").inner_text()
    site.order(created("o-again", "c-again"))
    expect(page.locator("#accepted")).not_to_have_text(before)
