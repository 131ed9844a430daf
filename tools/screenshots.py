"""Takes the pictures of the pages that docs/images holds: `.venv/bin/python -m tools.screenshots`.

A worker on an embedded broker of its own, made-up orders that go on flowing meanwhile, and Chromium; all of it ends
with the pictures, or with the first thing that fails.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from random import randint
from typing import Any
from urllib.error import URLError

import orjson
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app.sources.samples import sample_events
from tools.errors import MissingProgramError, ToolError
from tools.local_kafka import free_port

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
FAUST = (str(Path(sys.executable).with_name("faust")), "-A", "app")
WIDTH = 1_200
LOOKS = 30
"""Times that the dashboard has looked at the rate of events before its picture is taken."""

SECONDS = 60.0
END_SECONDS = 15.0
PAUSE_SECONDS = 0.1

SAMPLE = 12_000
"""Orders' events of before."""

TICK_SECONDS = 0.1
EVENTS_A_TICK = (2, 14)
"""Those that come meanwhile: at least and at most."""

MINE = {"order_id": "o-2026-000815", "customer_id": "c-00042"}
LINES = (("lamp-003", 1, "64.50"), ("tea-012", 3, "7.25"), ("mug-001", 2, "9.99"))
ITEMS = [{"sku": sku, "qty": quantity, "price": price} for sku, quantity, price in LINES]
CREATED = {"total_amount": "106.23", "currency": "EUR", "items": ITEMS}
LIFE: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("created", "2026-11-21T12:04:11Z", CREATED),
    ("paid", "2026-11-21T12:04:52Z", {}),
    ("shipped", "2026-11-21T13:20:05Z", {}),
    ("delivered", "2026-11-22T09:41:37Z", {}),
    ("refunded", "2026-11-22T10:15:00Z", {"amount": "9.99"}),
)
ORDER = tuple(
    {"event_type": f"order.{name}", "event_id": f"e-0815-{number}", "timestamp": time} | MINE | more
    for number, (name, time, more) in enumerate(LIFE, 1)
)
WRONG = ORDER[0] | {"event_id": "e-0816-1", "order_id": "o-2026-000816", "total_amount": "106,23"}


class Shop:
    """A worker and what sends orders to it, with all that they keep in `folder`."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        own = {"ORDERS_DATA_DIR": str(folder), "ORDERS_WEB_PORT": str(port), "ORDERS_EMBEDDED_FSYNC": "everysec"}
        others = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
        self._environment = others | own
        self._log = folder / "log"

    @contextmanager
    def running(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a command of the application, which ends in good order at the end."""
        with self._log.open("ab") as output:
            process = subprocess.Popen(
                [*FAUST, *arguments],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for this program, which ends the others
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.communicate(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()

    def get(self, path: str) -> Any:
        """Return what the API answers; raises `URLError`."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 - our own address
            return orjson.loads(answer.read())

    def wait(self, path: str, condition: Callable[[Any], object], what: str) -> Any:
        """Return what the API answers once that is as it should be."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                answer = self.get(path)
            except URLError:  # it does not listen yet; or the answer is an error
                answer = None
            if answer is not None and condition(answer):
                return answer
            time.sleep(PAUSE_SECONDS)
        raise ToolError(f"{what} did not come within {SECONDS:.0f} s:\n{self.log()}")

    def log(self) -> str:
        """Return the end of what the commands have said."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])


def take_pictures(folder: Path) -> None:
    """Start everything, take the pictures, and end everything."""
    shop = Shop(folder)
    with ExitStack() as stack:
        stack.callback(_wait_for_server, folder)
        stack.enter_context(shop.running("worker", "-l", "info", "--web-port", shop.url.rpartition(":")[2]))
        shop.wait("/api/status", lambda status: status["ready"], "a worker that is ready")
        emit = stack.enter_context(shop.running("emit", "-"))
        events = sample_events(10**6, customers=400, invalid=0.003)
        _send(emit, [*islice(events, SAMPLE), *map(orjson.dumps, (*ORDER, WRONG))])
        letters = shop.wait(
            f"/api/dead-letters?order_id={WRONG['order_id']}", lambda a: a["letters"], "the dead letter"
        )
        browser = stack.enter_context(_chromium())
        _order(browser, shop)
        _letter(browser, shop, letters["letters"][0]["id"])

        def go_on() -> None:
            _send(emit, islice(events, randint(*EVENTS_A_TICK)))  # noqa: S311 - no secret

        _dashboards(browser, shop, go_on)


def _send(emit: "subprocess.Popen[bytes]", events: Iterable[bytes]) -> None:
    assert emit.stdin is not None
    emit.stdin.write(b"".join(event + b"\n" for event in events))
    emit.stdin.flush()


@contextmanager
def _chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        raise MissingProgramError("there is no chromium in PATH; on Debian: apt install chromium fonts-dejavu-core")
    # Without colours at the edges of letters pictures are smaller, and right on every screen.
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-lcd-text"]
    arguments += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def _open(browser: Browser, shop: Shop, path: str, height: int, **options: Any) -> Page:
    page = browser.new_page(base_url=shop.url, viewport={"width": WIDTH, "height": height}, **options)
    page.goto(path)
    expect(page.locator("#connection")).to_have_text("live", timeout=SECONDS * 1_000)
    return page


def _save(page: Page, name: str) -> None:
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size >> 10} KiB")


def _order(browser: Browser, shop: Shop) -> None:
    path = "/orders/{order_id}?customer_id={customer_id}".format(**MINE)
    shop.wait(f"/api{path}", lambda order: len(order["events"]) == len(ORDER), "the order")
    _save(_open(browser, shop, path, 660), "order")


def _letter(browser: Browser, shop: Shop, letter: str) -> None:
    page = _open(browser, shop, f"/dead-letters/{letter}", 1_000)
    page.locator("#redrive").click()
    expect(page.locator(".timeline")).to_contain_text("redriven", timeout=SECONDS * 1_000)
    page.goto(f"/dead-letters/{letter}")
    expect(page.locator("#connection")).to_have_text("live", timeout=SECONDS * 1_000)
    page.locator("summary").click()
    page.mouse.move(0, 0)
    _save(page, "dead-letter")


def _dashboards(browser: Browser, shop: Shop, go_on: Callable[[], None]) -> None:
    page, line = _open(browser, shop, "/", 992, color_scheme="light"), ""
    while len(line.split()) < LOOKS:
        go_on()
        page.wait_for_timeout(TICK_SECONDS * 1_000)
        line = page.locator("svg.line polyline").get_attribute("points") or ""
    _save(page, "dashboard")
    page.emulate_media(color_scheme="dark")
    _save(page, "dashboard-dark")


def _wait_for_server(folder: Path) -> None:
    """Wait until the server has gone that goes with its last user; it still writes into the folder."""
    socket = folder / "embedded" / "valkey.sock"
    deadline = time.monotonic() + END_SECONDS
    while socket.exists() and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)


def main() -> int:
    """Take all pictures; returns the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    IMAGES.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
            take_pictures(Path(folder))
    except ToolError as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
