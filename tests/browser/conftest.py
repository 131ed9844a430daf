"""A real Chromium, one for each module, and the site that it looks at: a real worker on an embedded broker."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.site import Site
from tests.browser.visitor import SECONDS, Visitor

CHROMIUM = "chromium"
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

NewSite = Callable[..., Site]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a running Chromium; skips the tests if there is none, or fails them if CI is set."""
    program = shutil.which(CHROMIUM)
    if program is None:
        if os.environ.get("CI"):
            raise AssertionError(f"there is no {CHROMIUM}")
        pytest.skip(f"NOT TESTED in a real browser: there is no {CHROMIUM} in PATH")
    expect.set_options(timeout=SECONDS * 1_000)
    # The program is started within the module: its event loop would be in the way of tests that have their own.
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def new_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewSite]:
    """Return what starts a site with settings of its workers."""
    with ExitStack() as stack:

        def start(**settings: str) -> Site:
            return stack.enter_context(Site(tmp_path_factory.mktemp("site"), settings))

        yield start


@pytest.fixture(scope="module")
def site(browser: Browser, new_site: NewSite) -> Site:
    """A site as it is without settings."""
    return new_site()


@pytest.fixture
def visitor(browser: Browser, site: Site) -> Iterator[Visitor]:
    """Somebody who looks at the site, and at whose browser nothing may go wrong that the test has not said."""
    with Visitor(browser, site.url) as visitor:
        yield visitor
