"""A shop that sends sample events from a thread, at a steady pace, while a test makes trouble."""

import json
import sys
import threading
import time
import zlib
from collections.abc import Iterable
from typing import Self

from tests.contract.brokers.server import Feed, Sent
from tests.oracle_events import partition_of
from tests.waiting import wait_until

BURST_SECONDS = 0.01

# Records that no generator of JSON lines can give: values that are absent, empty or huge, and headers of all kinds.
ODD_RECORDS: tuple[Sent, ...] = (
    (b"c-00001", None, ()),
    (None, None, (("trace", b"1"),)),
    (b"c-00002", b"", (("trace", b"1"), ("trace", b"2"), ("empty", b""), ("null", None))),
    (b"\xff\xfe", b"\x00\x01", (("orderflow-cause", b"not ours"), ("\u00fc", b"\xff"))),
    (b"c-00003", b" " * (1 << 20) + b"{}", ()),
    (b"c-00004", b"[" * (10 << 20), ()),
    (b"", b"{}", ()),
)


class Shop(threading.Thread):
    """Sends `events` in order, `per_second` of them, once `allow` has released them; then `ODD_RECORDS`.

    A `misplaced` share of the customers belongs to an integration whose client hashes keys in another way, so
    that all their events arrive in a wrong partition. All others are keyed as Kafka's own clients do it.
    """

    def __init__(
        self, feed: Feed, partitions: int, events: Iterable[bytes], per_second: float, misplaced: float = 0
    ) -> None:
        super().__init__(name="shop", daemon=True)
        self.sent: list[Sent] = []
        self._feed = feed
        self._partitions = partitions
        self._events = events
        self._per_second = per_second
        self._misplaced = misplaced
        self._allowed = 0
        self._closed = False
        self._complete = False
        self._more = threading.Condition()
        self._burst: list[tuple[Sent, bool]] = []

    def allow(self, count: int) -> None:
        """Let it go on up to its event number `count`."""
        with self._more:
            self._allowed = count
            self._more.notify()

    def wait_until_sent(self, count: int, seconds: float = 60) -> None:
        """Return once so many events are sent, acknowledged or not."""
        wait_until(lambda: len(self.sent) >= count, seconds, f"{count} events sent", lambda: f"but {len(self.sent)}")

    def wait_until_delivered(self, count: int, seconds: float = 60) -> None:
        """Return once so many events are acknowledged."""
        feed = self._feed
        wait_until(
            lambda: feed.delivered >= count, seconds, f"{count} events acknowledged", lambda: f"but {feed.delivered}"
        )

    def run(self) -> None:
        """Send until all events are sent or it is closed."""
        begin, before = time.monotonic(), 0
        for number, event in enumerate(self._events):
            if not self._may_send(number):
                self._send()
                if not self._wait_for_permission(number):
                    return
                begin, before = time.monotonic(), number
            ahead = begin + (number - before) / self._per_second - time.monotonic()
            if ahead > BURST_SECONDS:
                self._send()
                time.sleep(ahead)
            self._burst.append(self._keyed(event))
        self._burst += [(record, False) for record in ODD_RECORDS]
        self._send()
        self._complete = True

    def _may_send(self, number: int) -> bool:
        with self._more:
            return number < self._allowed and not self._closed

    def _wait_for_permission(self, number: int) -> bool:
        """Wait until this event may be sent; False once the shop is closed."""
        with self._more:
            self._more.wait_for(lambda: number < self._allowed or self._closed)
            return not self._closed

    def _send(self) -> None:
        burst, self._burst = self._burst, []
        if burst:
            self._feed.send(burst)
            self.sent += [record for record, _ in burst]

    def finish(self, seconds: float = 120) -> None:
        """Wait until everything is sent and acknowledged; fails if something was not."""
        self.allow(sys.maxsize)
        self.join(seconds)
        assert not self.is_alive(), f"only {len(self.sent)} events were sent within {seconds:.0f} s"
        self._feed.finish(seconds)
        assert not self._feed.failures, self._feed.failures[:5]
        assert self._complete, f"the shop ended after {len(self.sent)} events"
        delivered = self._feed.delivered
        assert delivered == len(self.sent), f"{delivered} of {len(self.sent)} events were acknowledged"

    def _keyed(self, event: bytes) -> tuple[Sent, bool]:
        """Return the event as a record, and whether it goes to a wrong partition."""
        try:
            customer = json.loads(event)["customer_id"]
            key = str(customer).encode() if isinstance(customer, str | int) else None
        except (KeyError, RecursionError, TypeError, ValueError):
            key = None
        return (key, event, ()), key is not None and self._is_misplaced(key)

    def _is_misplaced(self, key: bytes) -> bool:
        chosen = zlib.crc32(b"chosen" + key) / 2**32
        # One in so many is right by chance with any hash; the share is one of those that are wrong.
        wrong = zlib.crc32(key) % self._partitions != partition_of(key, self._partitions)
        return wrong and chosen < self._misplaced * self._partitions / max(1, self._partitions - 1)

    def __enter__(self) -> Self:
        """Start; nothing is sent until it is allowed."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sending."""
        with self._more:
            self._closed = True
            self._more.notify()
        self.join(10)
        self._feed.close()
