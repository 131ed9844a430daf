"""A shop that sends sample events to Kafka from a thread, at a steady pace, while a test makes trouble."""

import json
import threading
import time
import zlib
from collections.abc import Sequence
from typing import Any, Self

from confluent_kafka import KafkaError, Message, Producer

from tests.oracle_events import partition_of
from tests.waiting import wait_until

Header = tuple[str, bytes | None]
Sent = tuple[bytes | None, bytes | None, tuple[Header, ...]]

MAX_RECORD_BYTES = 15 << 20
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

    A `misplaced` share of the customers belongs to an integration whose Kafka client hashes keys in another way, so
    that all their events arrive in a wrong partition. All others are keyed as Kafka's own client does it.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        partitions: int,
        events: Sequence[bytes],
        per_second: float,
        misplaced: float = 0,
    ) -> None:
        super().__init__(name="shop", daemon=True)
        self.sent: list[Sent] = []
        self.failures: list[str] = []
        self.delivered = 0
        self._topic = topic
        self._partitions = partitions
        self._events = events
        self._per_second = per_second
        self._misplaced = misplaced
        self._allowed = 0
        self._closed = False
        self._more = threading.Condition()
        self._right = _producer(bootstrap, "murmur2_random")
        self._other = _producer(bootstrap, "consistent")

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

        def are_delivered() -> bool:
            for producer in (self._right, self._other):
                producer.poll(0)
            return self.delivered >= count

        wait_until(are_delivered, seconds, f"{count} events acknowledged", lambda: f"but {self.delivered}")

    def run(self) -> None:
        """Send until all events are sent or it is closed."""
        begin, before = time.monotonic(), 0
        for number, event in enumerate(self._events):
            with self._more:
                while self._allowed <= number and not self._closed:
                    self._more.wait()
                    begin, before = time.monotonic(), number
                if self._closed:
                    return
            ahead = begin + (number - before) / self._per_second - time.monotonic()
            if ahead > BURST_SECONDS:
                time.sleep(ahead)
            self._send(*self._keyed(event))
        for key, value, headers in ODD_RECORDS:
            self._send(self._right, (key, value, headers))

    def finish(self, seconds: float = 120) -> None:
        """Wait until everything is sent and acknowledged; fails if something was not."""
        self.allow(len(self._events))
        self.join(seconds)
        assert not self.is_alive(), f"only {len(self.sent)} events were sent within {seconds:.0f} s"
        for producer in (self._right, self._other):
            producer.flush(seconds)
        assert not self.failures, self.failures[:5]
        expected = len(self._events) + len(ODD_RECORDS)
        assert len(self.sent) == expected, f"{len(self.sent)} of {expected} events were sent"
        assert self.delivered == len(self.sent), f"{self.delivered} of {len(self.sent)} events were acknowledged"

    def _keyed(self, event: bytes) -> tuple[Producer, Sent]:
        try:
            customer = json.loads(event)["customer_id"]
            key = str(customer).encode() if isinstance(customer, str | int) else None
        except (KeyError, RecursionError, TypeError, ValueError):
            key = None
        if key is None or not self._is_misplaced(key):
            return self._right, (key, event, ())
        return self._other, (key, event, ())

    def _is_misplaced(self, key: bytes) -> bool:
        chosen = zlib.crc32(b"chosen" + key) / 2**32
        # One in so many is right by chance with any hash; the share is one of those that are wrong.
        wrong = zlib.crc32(key) % self._partitions != partition_of(key, self._partitions)
        return wrong and chosen < self._misplaced * self._partitions / max(1, self._partitions - 1)

    def _send(self, producer: Producer, record: Sent) -> None:
        key, value, headers = record
        while True:
            try:
                producer.produce(self._topic, value, key, headers=list(headers), on_delivery=self._delivered)
            except BufferError:
                producer.poll(0.1)
                continue
            producer.poll(0)
            self.sent.append(record)
            return

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.delivered += 1
        else:
            self.failures.append(str(error))

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


def _producer(bootstrap: str, partitioner: str) -> Producer:
    options: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "partitioner": partitioner,
        "enable.idempotence": True,
        "linger.ms": 5,
        "message.max.bytes": MAX_RECORD_BYTES,
        "log_level": 2,
    }
    return Producer(options)
