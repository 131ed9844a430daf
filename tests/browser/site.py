"""A site to be looked at: a real worker on an embedded broker, and events that flow to it. Knows no browser."""

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError
from urllib.parse import quote

from tests.waiting import wait_until
from tests.workers import FAUST, ROOT, Worker

SECONDS = 30.0

Event = dict[str, Any]


def created(order_id: str, customer_id: str, **more: Any) -> Event:
    """Return an event that creates an order of 20.00 GBP."""
    event = {"event_type": "order.created", "event_id": f"created-{order_id}"[:255], "order_id": order_id}
    event |= {"timestamp": "2026-11-21T12:00:00Z", "customer_id": customer_id}
    items = [{"sku": "mug-001", "qty": 2, "price": "10.00"}]
    return event | {"total_amount": "20.00", "currency": "GBP", "items": items} | more


def later(event_type: str, order: Event, **more: Any) -> Event:
    """Return an event of an order that is created by another one."""
    event = {name: order[name] for name in ("order_id", "customer_id")}
    event |= {"event_type": f"order.{event_type}", "event_id": f"{event_type}-{order['order_id']}"}
    return event | {"timestamp": "2026-11-21T12:05:00Z"} | more


class Site:
    """A worker that answers in the browser, and a command that sends it whatever events it is given."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.worker = Worker("worker", folder, {"ORDERS_EMBEDDED_FSYNC": "everysec", **settings})
        self._token = settings.get("ORDERS_WEB_TOKEN")
        self._emit: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return self.worker.url

    def wait_until_ready(self) -> None:
        """Return once the worker has all partitions."""

        def ready() -> bool:
            assert self.worker.alive, self.worker.tail()
            try:
                return bool(self.get("/api/status")["ready"])
            except URLError:
                return False

        wait_until(ready, SECONDS, "a worker that is ready", self.worker.tail)

    def get(self, path: str) -> Any:
        """Return what the API answers."""
        with self._open(path) as response:
            return json.load(response)

    def text(self, path: str) -> str:
        """Return what it answers, as text."""
        with self._open(path) as response:
            return response.read().decode()

    def ask(self, deed: str, letter: str) -> None:
        """Have a letter redriven or purged."""
        asked = json.dumps({"ids": [letter], "by": "test"}).encode()
        self._open(f"/api/dead-letters/{deed}", asked).close()

    def find(self, path: str) -> Any:
        """Return what the API answers once it knows what is asked for."""
        found: list[Any] = []

        def known() -> bool:
            try:
                found.append(self.get(path))
            except URLError:  # an answer that is an error is one, too
                return False
            return True

        wait_until(known, SECONDS, f"an answer to {path}", self.worker.tail)
        return found[0]

    def send(self, *events: Event) -> None:
        """Send events; they are accepted or not soon after."""
        assert self._emit is not None
        assert self._emit.stdin is not None
        self._emit.stdin.write(b"".join(json.dumps(event).encode() + b"\n" for event in events))
        self._emit.stdin.flush()

    def order(self, event: Event, *others: Event) -> str:
        """Send the events of an order, wait until all are accepted, and return the path of its page."""
        self.send(event, *others)
        path = path_of(event)

        def accepted() -> bool:
            return len(self.find(f"/api{path}")["events"]) == 1 + len(others)

        wait_until(accepted, SECONDS, f"{1 + len(others)} events of {path}", self.worker.tail)
        return path

    def letter(self, event: Event) -> str:
        """Send an event that is not accepted, and return the id of its letter."""
        self.send(event)
        return str(self.letter_of(event)["id"])

    def letter_of(self, event: Event) -> dict[str, Any]:
        """Return the first letter of an event's order, whatever its state, once there is one."""
        every = "state=dead,parked,waiting,retrying,resolved,purged"
        found: list[dict[str, Any]] = []

        def known() -> bool:
            found.extend(self.get(f"/api/dead-letters?{every}&order_id={quote(event['order_id'], safe='')}")["letters"])
            return bool(found)

        wait_until(known, SECONDS, f"a letter of {event['order_id']}", self.worker.tail)
        return found[0]

    def sample(self, count: int, *options: str) -> None:
        """Send made-up events, and wait until all are read."""
        before = self._read()
        done = self.worker.command("emit", "--sample", str(count), *options)
        assert done.returncode == 0, done.stderr
        wait_until(lambda: self._read() >= before + count, SECONDS, f"{count} events read", self.worker.tail)

    @contextmanager
    def flow(self, *options: str) -> Iterator[None]:
        """Let made-up events flow meanwhile."""
        command = [str(FAUST), "-A", "app", "emit", "--sample", "1000000", *options]
        with subprocess.Popen(
            command, cwd=ROOT, env=self.worker.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as emit:
            try:
                yield
            finally:
                emit.send_signal(signal.SIGINT)

    def _read(self) -> int:
        return sum(partition["next_offset"] or 0 for partition in self.get("/api/status")["partitions"])

    def _open(self, path: str, posted: bytes | None = None) -> HTTPResponse:
        token = (self._token or "").encode().decode("latin-1")  # which is how a header's bytes are written here
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Content-Type": "application/json"} if posted else {}
        request = urllib.request.Request(self.url + path, posted, headers)  # noqa: S310 - our own address
        response: HTTPResponse = urllib.request.urlopen(request, timeout=10)  # noqa: S310 - the same
        return response

    def __enter__(self) -> Self:
        """Start both, side by side."""
        self.worker.start()
        self._emit = subprocess.Popen(
            [str(FAUST), "-A", "app", "emit", "-"],
            cwd=ROOT,
            env=self.worker.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End both."""
        self.worker.end()
        if self._emit is not None:
            self._emit.kill()
            self._emit.communicate()


def path_of(event: Event) -> str:
    """Return the path of the page of an event's order."""
    order_id, customer_id = (quote(event[name], safe="") for name in ("order_id", "customer_id"))
    return f"/orders/{order_id}?customer_id={customer_id}"
