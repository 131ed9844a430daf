"""Finding things, and reading them: what the pages show is what the API answers."""

import re
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from tests.browser.conftest import NewSite
from tests.browser.site import Site, created, later
from tests.browser.visitor import DESK, PHONE, Visitor, rows, wait_until_live

pytestmark = pytest.mark.long

ORDER = created("o-read", "c-read", items=[{"sku": "mug-read", "qty": 3, "price": "4.50"}], total_amount="13.50")
OTHER = created("o-other", "c-read", total_amount="1234.56", currency="EUR")
LIFE = [later("paid", ORDER), later("shipped", ORDER), later("refunded", ORDER, amount="2.25")]


@pytest.fixture(scope="module")
def site(browser: Browser, new_site: NewSite) -> Site:
    """Some hundred events of sixty customers, and two orders that are known."""
    site = new_site()
    site.sample(4_000, "--customers", "60", "--seed", "3")
    site.order(ORDER, *LIFE)
    site.order(OTHER)
    return site


def test_an_order_is_found_and_leads_to_its_customer_and_products(site: Site, visitor: Visitor) -> None:
    """The search box leads to the order with its life and items, and that on to whose it is and what was sold."""
    page = visitor.open("/")
    page.get_by_role("searchbox").fill(" o-read ")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("h1")).to_have_text("Order o-read shipped")
    expect(page.locator(".timeline strong")).to_have_text(["created", "paid", "shipped", "refunded"])
    assert rows(page) == [["mug-read", "3", "4.50"]]
    for text in ("13.50 GBP", "2.25 GBP", "2026-11-21 12:00:00", "2026-11-21 12:05:00"):
        expect(page.locator("dl").first).to_contain_text(text)

    page.get_by_role("link", name="mug-read").click()
    expect(page.locator("h1")).to_have_text("Product mug-read")
    assert page.locator("dd").all_inner_texts() == ["1", "3", "0", "13.50 GBP"]

    page.go_back()
    page.get_by_role("link", name="c-read").click()
    expect(page.locator("h1")).to_have_text("Customer c-read")
    expect(page.locator("dl")).to_contain_text("2, 2 of them open")
    assert sorted(rows(page)) == [["EUR", "1234.56", "0.00", "1234.56"], ["GBP", "13.50", "2.25", "11.25"]]
    orders = page.locator("section", has=page.get_by_role("heading", name="Orders"))
    expect(orders.get_by_role("link", name=re.compile("^o-"))).to_have_text(["o-read", "o-other"])
    wait_until_live(page)


def test_what_nobody_knows_is_told(site: Site, visitor: Visitor) -> None:
    """A search without a hit says so, and an address of nothing leads back to the dashboard."""
    visitor.expect("status of 404")
    page = visitor.open("/search?q=o-nobody")
    expect(page.locator("main")).to_contain_text("Nothing has the id o-nobody")
    page.goto("/orders/o-nobody")
    expect(page.locator("h1")).to_have_text("Unknown order")
    page.get_by_role("link", name="To the dashboard").click()
    expect(page.locator("h1")).to_contain_text("Dashboard")


@pytest.mark.parametrize(
    ("table", "heading", "sort", "at"),
    [
        ("customers", "Net GBP", "net:GBP", 5),
        ("customers", "Customer", "customer_id", 0),
        ("products", "Revenue GBP", "revenue:GBP", 4),
    ],
)
def test_lists_are_sorted_by_a_click_on_a_heading(
    site: Site, visitor: Visitor, table: str, heading: str, sort: str, at: int
) -> None:
    """Downwards first, upwards by a second click, page after page; each row is that of the API."""
    page = visitor.open(f"/{table}?limit=25&sort={'last_order_at' if table == 'customers' else 'orders'}")
    column = page.locator("th", has_text=re.compile(f"^{heading}$"))
    for sign, order in (("-", "descending"), ("", "ascending")):
        column.get_by_role("link").click()
        expect(column).to_have_attribute("aria-sort", order)
        first = site.get(f"/api/{table}?limit=25&sort={sign}{sort}")
        shown = rows(page)
        page.get_by_role("link", name="Next page").click()
        expect(page.get_by_role("link", name="First page")).to_be_visible()
        second = site.get(f"/api/{table}?limit=25&sort={sign}{sort}&cursor={first['next']}")
        shown += rows(page)
        assert shown == [as_shown(table, row) for row in (*first[table], *second[table])]
        values = [Decimal(row[at]) if at else row[at] for row in shown]
        assert values == sorted(values, reverse=bool(sign))
        assert len({row[0] for row in shown}) == 50
        page.get_by_role("link", name="First page").click()
        expect(page.get_by_role("link", name="First page")).to_be_hidden()


def as_shown(table: str, row: dict[str, Any]) -> list[str]:
    """Return what the cells of a row of the API show; money in GBP."""
    money = row["money"].get("GBP", {})
    if table == "products":
        return [
            *(row["sku"], f"{row['orders']:,}", f"{row['units_sold']:,}", f"{row['units_cancelled']:,}"),
            money.get("revenue", "–"),
        ]
    return [
        *(row["customer_id"], f"{row['order_count']:,}", f"{row['open_orders']:,}"),
        *(money.get(name, "–") for name in ("gross", "refunded", "net")),
        re.sub(r"^(.{10})T(.{8}).*", r"\1 \2", row["last_order_at"]),
    ]


def test_revenue_is_shown_in_the_currency_and_step_that_are_chosen(site: Site, visitor: Visitor) -> None:
    """The chart has a bar for each bucket of the API, and the table its figures."""
    page = visitor.open("/revenue")
    for currency, name, step in (("EUR", "minute", "1m"), ("GBP", "hour", "1h"), ("JPY", "day", "1d")):
        page.get_by_label("Currency").select_option(currency)
        page.locator("select[name=step]").select_option(label=name)
        page.get_by_role("button", name="Show").click()
        expect(page.locator("figcaption")).to_contain_text(f"{currency}, by {name}")
        buckets = site.get(f"/api/revenue?currency={currency}&step={step}")["buckets"]
        assert buckets
        expect(page.locator("svg.chart rect.gross")).to_have_count(len(buckets))
        assert [row[2:] for row in rows(page)] == [[b["gross"], b["refunded"], b["net"]] for b in reversed(buckets)]
        highest = max(float(b["gross"]) for b in buckets)
        heights = page.locator("rect.gross").evaluate_all("bars => bars.map(bar => bar.height.baseVal.value)")
        assert heights == pytest.approx([float(b["gross"]) / highest * max(heights) for b in buckets], abs=0.1)


def test_a_time_can_be_chosen(site: Site, visitor: Visitor) -> None:
    """Only what happened between two times counts then."""
    page = visitor.open("/revenue")
    page.get_by_label("From").fill("2026-11-21T12:01")
    page.get_by_label("To").fill("2026-11-21T12:02")
    page.locator("select[name=step]").select_option(label="minute")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("svg.chart rect.gross")).to_have_count(1)
    page.get_by_label("From").fill("yesterday")
    visitor.expect("status of 400")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("main")).to_contain_text("from: must be a time")


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_texts_of_a_chart_stay_apart(site: Site, visitor: Visitor, screen: ViewportSize) -> None:
    """Also where a few bars leave little room, or the screen does; and all of them are within the chart."""
    page = visitor.open("/revenue", viewport=screen)
    for minutes in (1, 2, 3, 5, 8, 11):
        page.goto(f"/revenue?currency=GBP&step=1m&from=2026-11-21T12:00&to=2026-11-21T12:{minutes:02}")
        expect(page.locator("svg.chart rect.gross")).to_have_count(minutes)
        boxes = page.locator("svg.chart text").evaluate_all(BOXES)
        assert 2 <= len(boxes) <= 4
        for box, other in combinations(boxes, 2):
            apart = box["right"] < other["left"] or other["right"] < box["left"] or box["bottom"] < other["top"]
            assert apart, (minutes, boxes)
        chart = page.locator("svg.chart").evaluate_all(BOXES)[0]
        assert all(chart["left"] - 1 <= box["left"] and box["right"] <= chart["right"] + 1 for box in boxes), minutes
        assert all(box["bottom"] - box["top"] >= 8 for box in boxes), "too small to be read"


BOXES = "texts => texts.map(text => text.getBoundingClientRect().toJSON())"
