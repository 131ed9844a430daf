"""The simple job on FastStream: a stream's consumer group in batches, acknowledged after the handler. `fill` or `work`.

The parser and the decoder hand the handler the bytes of each event. FastStream's own decode every event, encode the
batch as JSON and decode it again, only for our models to want bytes. Needs FastStream, which only the peers'
environment has.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio as redis
from faststream import AckPolicy, FastStream
from faststream.redis import RedisBroker, StreamSub
from faststream.redis.parser import BinaryMessageFormatV1

from benchmarks.peers.faststream_peer import STREAM
from benchmarks.peers.filling import chunks
from benchmarks.peers.launch import URL
from benchmarks.peers.totals import add
from models.events import parse_event

GROUP, CONSUMER = "totals", "worker-1"
LEFT_ALONE_MS = 30_000
"""Entries read by somebody who did not acknowledge them for so long are read again."""

broker = RedisBroker(os.environ[URL], logger=None)
app = FastStream(broker, logger=None)
server: Any = redis.Redis.from_url(os.environ[URL])


async def parse(batch: dict[str, Any], original: Callable[[dict[str, Any]], Awaitable[Any]]) -> Any:
    """Make FastStream's message without its body; it keeps the ids to acknowledge."""
    message = await original({**batch, "data": []})
    message.raw_message = batch
    return message


async def decode(message: Any) -> list[bytes]:
    """Take each event out of its envelope."""
    return [BinaryMessageFormatV1.parse(entry[b"__data__"])[0] for entry in message.raw_message["data"]]


def subscriber(**options: Any) -> Any:
    """Subscribe to the stream, in batches."""
    stream = StreamSub(STREAM, group=GROUP, consumer=CONSUMER, batch=True, **options)
    return broker.subscriber(stream=stream, ack_policy=AckPolicy.NACK_ON_ERROR, parser=parse, decoder=decode)


@subscriber(min_idle_time=LEFT_ALONE_MS, polling_interval=1_000)  # type: ignore[untyped-decorator]
@subscriber(max_records=500)  # type: ignore[untyped-decorator]
async def record(events: list[bytes]) -> None:
    """Add a batch of events to their customers' totals, in one round trip."""
    pipeline = server.pipeline(transaction=False)
    for event in events:
        add(pipeline, parse_event(event))
    await pipeline.execute()


@app.on_startup  # type: ignore[untyped-decorator]
async def start_at_the_beginning() -> None:
    """Make the group: FastStream's own would begin with what comes after it."""
    try:
        await server.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as e:
        if "BUSYGROUP" not in str(e):
            raise


async def fill() -> None:
    """Publish each event of standard input."""
    async with broker:
        for chunk in chunks():
            pipeline = server.pipeline(transaction=False)
            for event in chunk:
                await broker.publish(event, stream=STREAM, pipeline=pipeline)
            await pipeline.execute()


if __name__ == "__main__":
    asyncio.run({"fill": fill, "work": app.run}[sys.argv[1]]())
