"""Sends events at a steady rate, in a process of its own: `python -m benchmarks.sender RATE SECONDS`.

The broker and the topic are those of the settings in the environment. Some events are probes: of customers that nobody
has seen. For each it prints a line of JSON: the customer, and the moment (seconds, monotonic) it was handed to the
client; in the end one with how many events it has sent, and in how many seconds.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import cycle, islice

from confluent_kafka import Producer

from app.commands._sending import key_of
from app.settings import Settings, load_settings
from app.topics import topics_for
from app.transports import transport_for
from benchmarks.brokers.kafka import SENDER
from benchmarks.workload import Workload

PREPARED = 50_000
"""Events that are sent again and again, so that making them takes no time."""
TICK_SECONDS = 0.005
BURST_SECONDS = 0.02
"""At most so much is made up for at once: probes must go out on time, above all where sending falls behind."""
PROBES_PER_SECOND = 20
LINGER_MS = 1
PROBE_PREFIX = b"probe-"
PROBE = (
    b'{"event_type":"order.paid","event_id":"p","timestamp":"2026-11-21T12:00:00Z","order_id":"p","customer_id":"%s"}'
)

Send = Callable[[bytes | None, bytes], Awaitable[None]]


async def send_all(send: Send, rate: int, seconds: float) -> None:
    """Send at `rate` events per second, evenly, as far as that can be done."""
    prepared = cycle([(key_of(line), line) for line in Workload(1_000, PREPARED).lines()])
    begin = time.monotonic()
    sent = 0
    probes = _probes(begin)
    next_probe = begin
    while (now := time.monotonic()) < begin + seconds:
        if now >= next_probe:
            next_probe += 1 / PROBES_PER_SECOND
            customer = next(probes)
            print(json.dumps({"customer": customer.decode(), "at": time.monotonic()}), flush=True)
            await send(customer, PROBE % customer)
            sent += 1
        behind = max(0, int((now - begin) * rate) - sent)
        for key, line in islice(prepared, min(behind, max(1, int(rate * BURST_SECONDS)))):
            await send(key, line)
            sent += 1
        await asyncio.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - now)))
    print(json.dumps({"sent": sent, "seconds": time.monotonic() - begin}), flush=True)


def _probes(begin: float) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield PROBE_PREFIX + b"%d-%d" % (int(begin * 1_000), number)


async def to_kafka(settings: Settings, rate: int, seconds: float) -> None:
    """By librdkafka."""
    bootstrap = settings.broker.removeprefix("kafka://")
    producer = Producer(SENDER | {"bootstrap.servers": bootstrap, "linger.ms": LINGER_MS})
    topic = topics_for(settings.topic_prefix, settings.app_id).orders

    async def send(key: bytes | None, value: bytes) -> None:
        while True:
            try:
                producer.produce(topic, key=key, value=value)
            except BufferError:
                producer.poll(0.01)
            else:
                break
        producer.poll(0)

    await send_all(send, rate, seconds)
    producer.flush()


async def to_streams(settings: Settings, rate: int, seconds: float) -> None:
    """By our own sender."""
    topic = topics_for(settings.topic_prefix, settings.app_id).orders
    async with transport_for(settings.broker).open_sender(settings) as sender:
        await send_all(lambda key, value: sender.send(topic, key, value), rate, seconds)
        await sender.flush()


if __name__ == "__main__":
    to_broker = to_kafka if load_settings().broker.startswith("kafka://") else to_streams
    asyncio.run(to_broker(load_settings(), int(sys.argv[1]), float(sys.argv[2])))
