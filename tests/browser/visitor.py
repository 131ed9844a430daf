"""Somebody with a browser, and what must never go wrong there. Knows addresses, and nothing of what the pages show."""

import re
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, ViewportSize, expect

from tests.waiting import wait_until

SECONDS = 15.0
"""How long something on a page may take."""

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
ABORTED = "net::ERR_ABORTED"
"""How streams end when a page is left, and now and then the icon, which is asked for last."""

ICON = "/static/icon.svg"

DESK: ViewportSize = {"width": 1200, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}

COUNT_MESSAGES = """
window.messages = 0;
window.EventSource = class extends EventSource {
  constructor(url) {
    super(url);
    this.addEventListener("message", () => { window.messages += 1; });
  }
};
"""
"""Changes that have arrived at a page, whether it shows them or not."""


class Visitor:
    """Opens pages. `problems` are what its browser complains of: errors, warnings, dialogs, requests that fail or go
    elsewhere; what a test expects of them it names before (`expect`)."""  # noqa: D205, D209 - one sentence

    def __init__(self, browser: Browser, url: str) -> None:
        self.problems: list[str] = []
        self.failed_streams = 0
        self._browser = browser
        self._url = url
        self._contexts: list[BrowserContext] = []
        self._expected: list[str] = []
        self._under_way: set[Request] = set()

    def expect(self, pattern: str) -> None:
        """Let problems pass that hold `pattern`."""
        self._expected.append(pattern)

    def open(self, path: str, **options: Any) -> Page:
        """Open a page, in a window of its own that shares nothing with others; `options` are those of the context."""
        context = self._browser.new_context(**{"base_url": self._url, "viewport": DESK} | options)
        context.add_init_script(COUNT_MESSAGES)
        context.set_default_timeout(SECONDS * 1_000)
        self._contexts.append(context)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._note(f"error: {error.error}"))
        context.on("dialog", self._on_dialog)
        context.on("request", self._on_request)
        context.on("requestfinished", self._on_end)
        context.on("requestfailed", self._on_failure)
        page = context.new_page()
        page.goto(path)
        return page

    def settle(self, page: Page) -> None:
        """Wait until a page has all that it asks for; the stream of its changes never ends."""

        def complete() -> bool:
            page.title()  # whoever asks for something hears of what happened meanwhile
            return all(_is_stream(request) for request in self._under_way)

        wait_until(complete, SECONDS, f"all of {page.url}", lambda: str([r.url for r in self._under_way]))

    def __enter__(self) -> Self:
        """Open nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close everything; fails if there were problems that nobody expected."""
        for context in self._contexts:
            context.close()
        if error is None:
            assert self.problems == []

    def _note(self, problem: str) -> None:
        if not any(re.search(pattern, problem) for pattern in self._expected):
            self.problems.append(problem)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self._note(f"console {message.type}: {message.text} ({message.location['url']})")

    def _on_dialog(self, dialog: Dialog) -> None:
        self._note(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _on_request(self, request: Request) -> None:
        self._under_way.add(request)
        if urlsplit(request.url).hostname not in LOOPBACK and not request.url.startswith("data:"):
            self._note(f"left the machine: {request.url}")

    def _on_end(self, request: Request) -> None:
        self._under_way.discard(request)

    def _on_failure(self, request: Request) -> None:
        self._on_end(request)
        if _is_stream(request):
            self.failed_streams += 1
        if not (request.failure == ABORTED and (_is_stream(request) or request.url.endswith(ICON))):
            self._note(f"failed: {request.method} {request.url}: {request.failure}")


def _is_stream(request: Request) -> bool:
    return urlsplit(request.url).path.startswith("/live/")


def wait_until_live(page: Page) -> None:
    """Wait until the page is told of changes."""
    expect(page.locator("#connection")).to_have_text("live")


def mark(page: Page) -> None:
    """Put a mark on a page as it is loaded now."""
    page.evaluate("window.marked = true")


def is_marked(page: Page) -> bool:
    """Whether the page is still the one that was marked: it was not loaded again."""
    return page.evaluate("window.marked") is True


def rows(page: Page) -> list[list[str]]:
    """Return the texts in the cells of the body of a page's first table."""
    found: list[list[str]] = page.locator("table").first.evaluate(
        "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    return found
