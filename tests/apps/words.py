"""A plain Faust app, as Faust's documentation shows them: it counts words. It knows nothing of Orderflow.

A line's words go to a topic, are grouped by their text, and are counted in tables; `forget x` takes x out of them.
What it has seen and counted since its start is shown by its page /state/.
"""

import os
from typing import Any

import faust
from faust.cli import argument

NAME = os.environ["WORDS_ID"]

app = faust.App(
    NAME,
    broker=os.environ["WORDS_BROKER"],
    datadir=os.environ["WORDS_FOLDER"],
    broker_session_timeout=float(os.environ["WORDS_SESSION"]),
    broker_heartbeat_interval=0.5,
    broker_commit_interval=0.3,
    broker_request_timeout=float(os.environ.get("WORDS_PATIENCE", "90")),
    topic_partitions=4,
    processing_guarantee=os.environ.get("WORDS_GUARANTEE", "at_least_once"),
)


class Word(faust.Record):
    """A word of a line."""

    line: str
    text: str
    forget: bool = False


lines = app.topic(f"{NAME}-lines", key_type=str, value_type=str, value_serializer="raw", internal=True)
words = app.topic(f"{NAME}-words", key_type=str, value_type=Word, internal=True)
counts = app.Table("counts", default=int)
found_in = app.Table("found-in", default=list)
handled: list[dict[str, Any]] = []
ticks = {"all": 0, "leader": 0}


@app.agent(lines)
async def split(stream: Any) -> None:
    """Send on the words of each line."""
    async for event in stream.events():
        message = event.message
        headers = {name: value.decode() for name, value in dict(message.headers).items()}
        told = {"partition": message.partition, "headers": headers, "timestamp": message.timestamp}
        handled.append({"line": event.key, **told})
        said = event.value.split()
        forget = said[0] == "forget"
        for text in said[forget:]:
            await words.send(key=event.key, value=Word(event.key, text, forget=forget))


@app.agent(words)
async def count(stream: Any) -> None:
    """Count words, and remember the lines in which they are: that comes out the same however often it is done."""
    async for word in stream.group_by(Word.text, partitions=4):
        if word.forget:
            counts.pop(word.text, None)
            found_in.pop(word.text, None)
        else:
            counts[word.text] += 1
            found_in[word.text] = sorted({*found_in[word.text], word.line})


@app.timer(0.2)  # type: ignore[untyped-decorator]
async def tick() -> None:
    """Count the time."""
    ticks["all"] += 1


@app.timer(0.2, on_leader=True)  # type: ignore[untyped-decorator]
async def lead() -> None:
    """Count the time on one worker only."""
    ticks["leader"] += 1


@app.page("/state/")
async def state(web: Any, request: Any) -> Any:
    """Show everything."""
    tables = {"counts": dict(counts.items()), "found_in": dict(found_in.items())}
    return web.json({**tables, "handled": handled, "ticks": ticks, "ready": app.tables.actives_ready})


@app.command(argument("first", type=int), argument("end", type=int))
async def feed(self: Any, first: int, end: int) -> None:
    """Send the lines of these numbers: `w<number modulo 10> all`."""
    sent = [
        await lines.send(
            key=f"line-{n}", value=f"w{n % 10} all", headers={"number": str(n).encode()}, timestamp=n + 1.0
        )
        for n in range(first, end)
    ]
    for acknowledged in sent:
        await acknowledged
    await app.producer.stop()
