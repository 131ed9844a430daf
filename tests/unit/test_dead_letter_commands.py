"""The dead-letters commands: what they print, ask for and exit with; a pipeline in memory acts on what they ask for."""

import asyncio
import io
import json
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import faust
import pytest
from faust.cli.base import call_command, cli
from msgspec import Struct

from app.commands import dead_letters
from app.delivery.actions import ACTION_HEADER
from app.delivery.dead_letters import DeadLetters
from app.engine.clock import Clock
from app.engine.errors import Refused
from app.engine.state import PartitionState
from app.engine.step import Step
from app.pipeline import OrderPipeline
from app.tables import TABLES
from app.topics import partition_of, topics_for
from tests.letters_kit import Record, action

PARTITIONS = 2
TOPICS = topics_for("", "app")
Headers = Sequence[tuple[str, bytes | None]]
TIMESTAMP = 1_790_000_000_000


class _Worker:
    """What a worker does, at once: two partitions, whose records are handled as they are sent, unless it is `away`."""

    def __init__(self) -> None:
        self.away = False
        self.refuses = False
        self.sent: list[list[bytes | None]] = [[], []]
        self.partitions = PARTITIONS
        self._clock = Clock()
        letters = DeadLetters(TOPICS.dead_letters, TOPICS.orders, "group", "1")
        self._pipeline = OrderPipeline(TOPICS, PARTITIONS, letters, self._clock)
        self._states = [PartitionState(table.table for table in TABLES) for _ in range(PARTITIONS)]

    def take(self, partition: int, value: bytes | None, headers: Headers = (), key: bytes | None = b"c") -> str:
        """Handle a record; returns the id that its letter has, if it becomes one."""
        offset = len(self.sent[partition])
        self.sent[partition].append(value)
        if not self.away:
            step = Step(
                partition, [Record(offset, value, headers, key, TIMESTAMP)], offset, offset + 1, self._states[partition]
            )
            asyncio.run(self._pipeline.handle(step))
            step.publish(step.encoded())
        return f"{partition}-{offset}"

    # --- as a state ---

    async def read(self, partition: int) -> AsyncIterator[list[tuple[str, str, bytes | None]]]:
        """Yield all rows."""
        for table in self._states[partition]:
            yield [(table.name, key, row) for key, row in table.encoded.items()]

    # --- as a sender ---

    async def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = (), partition: int | None = None
    ) -> None:
        """Handle it, as a worker would."""
        assert topic == TOPICS.orders
        assert partition is not None
        if self.refuses:
            raise Refused("topic orders may not be written by this client")
        await asyncio.to_thread(self.take, partition, value, headers, key)

    async def flush(self) -> None:
        """All is done already."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


def event(event_type: str, order: str, **more: Any) -> bytes:
    """Return an event of customer "c", whose partition is `HOME`."""
    if event_type == "created":
        more = {"total_amount": "10.00", "currency": "GBP", "items": [{"sku": "a", "qty": 1, "price": "10.00"}]} | more
    return json.dumps(
        {
            "event_type": f"order.{event_type}",
            "event_id": f"{event_type}-{order}",
            "timestamp": "2026-11-21T12:00:00Z",
            "order_id": order,
            "customer_id": "c",
            **more,
        }
    ).encode()


HOME = partition_of("c", PARTITIONS)
OTHER = 1 - HOME


class Told(Struct):
    """What a command has done."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """What it printed, as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def worker() -> _Worker:
    """An order that is held up by what cannot be read, one without faults, one that is unknown; and rubbish."""
    worker = _Worker()
    worker.take(HOME, event("created", "held", total_amount="-1"))
    worker.take(HOME, event("paid", "held"))
    worker.take(HOME, event("created", "good"))
    worker.take(HOME, event("created", "good", event_id="again"))
    worker.take(OTHER, b"rubbish", key=b"odd")
    worker.take(OTHER, b"more rubbish", key=b"other")
    return worker


HELD, PARKED, REFUSED, RUBBISH, MORE = f"{HOME}-0", f"{HOME}-1", f"{HOME}-3", f"{OTHER}-0", f"{OTHER}-1"
Run = Callable[..., Told]


@pytest.fixture
def run(worker: _Worker, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run `dead-letters …` with these arguments."""
    app = faust.App("letters-test", broker="memory://", autodiscover=False)
    both: Any = worker
    dead_letters.register(app, lambda: both, lambda: both, TOPICS.orders, "group")

    def call(*args: str) -> Told:
        out, err = io.StringIO(), io.StringIO()
        code, _, _ = call_command("dead-letters", list(args), app=app, stdout=out, stderr=err)
        assert isinstance(code, int)
        by_click = capsys.readouterr()
        return Told(code, out.getvalue() + by_click.out, err.getvalue() + by_click.err)

    yield call
    cli.commands.pop("dead-letters")


def states(run: Run) -> dict[str, str]:
    """Return the state of each letter."""
    return {each["id"]: each["state"] for each in run("list", "--all", "--json").objects}


ALL = {HELD: "dead", PARKED: "parked", REFUSED: "dead", RUBBISH: "dead", MORE: "dead"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {HELD, PARKED, REFUSED, RUBBISH, MORE}),
        (["--state", "parked"], {PARKED}),
        (["--cause", "undecodable", "--cause", "order_exists"], {REFUSED, RUBBISH, MORE}),
        (["--type", "order.created"], {HELD, REFUSED}),
        (["--order-id", "held"], {HELD, PARKED}),
        (["--customer-id", "c", "--cause", "invalid_event"], {HELD}),
        (["--customer-id", "nobody"], set()),
        (["--key", "odd"], {RUBBISH}),
        (["--since", "1h"], {HELD, PARKED, REFUSED, RUBBISH, MORE}),
        (["--until", "1h"], set()),
        (["--since", "2026-11-21T12:00:00", "--limit", "1"], {min(HELD, RUBBISH)}),
    ],
)
def test_letters_are_listed_by_what_is_known_of_them(run: Run, options: list[str], expected: set[str]) -> None:
    """As JSON for scripts, and as a table for people."""
    told = run("list", "--json", *options)
    assert told.code == 0, told.err
    assert {each["id"] for each in told.objects} == expected
    lines = run("list", *options).out.splitlines()
    assert len(lines) == (len(expected) + 2 if expected else 1)
    assert all(any(line.startswith(name) for line in lines) for name in expected)


def test_a_letter_is_shown_whole(run: Run) -> None:
    """The record as it came, and all that has happened."""
    told = run("show", HELD, REFUSED)
    assert told.code == 0
    first = json.loads(told.out[: told.out.index("\n}\n") + 2])
    assert first["id"] == HELD
    assert json.loads(first["record"]["value"]["text"])["total_amount"] == "-1"
    assert [entry["deed"] for entry in first["history"]] == ["failed"]
    missing = run("show", HELD, "0-99")
    assert (missing.code, missing.err) == (1, "show: error: there is no letter '0-99'\n")


def test_a_mended_letter_counts_and_those_behind_it_follow(run: Run) -> None:
    """And both are closed."""
    told = run("redrive", HELD, "--set", "total_amount=10.00", "--by", "me")
    assert (told.code, told.err) == (0, "")
    assert told.out == "redrive: 1 of 1 done: 1 resolved\n"
    assert states(run) == ALL | {HELD: "resolved", PARKED: "resolved"}
    (whole,) = [json.loads(run("show", HELD).out)]
    assert [(entry["deed"], entry["by"]) for entry in whole["history"]] == [
        ("failed", ""),
        ("mended", "me"),
        ("redriven", "me"),
        ("accepted", ""),
    ]
    assert json.loads(whole["record"]["value"]["text"])["total_amount"] == "-1"
    assert json.loads(whole["mended"]["text"])["total_amount"] == "10.00"


def test_another_value_can_be_given_in_a_file(run: Run, tmp_path: Path) -> None:
    """In place of the whole record, for one letter only."""
    file = tmp_path / "mended.json"
    file.write_bytes(event("created", "held"))
    assert run("redrive", HELD, "--value", str(file)).code == 0
    assert states(run)[PARKED] == "resolved"
    assert run("redrive", RUBBISH, MORE, "--value", str(file)).code == 2
    assert run("redrive", RUBBISH, "--value", str(tmp_path / "none")).code == 2
    assert run("redrive", RUBBISH, "--value", str(file), "--set", "a=1").code == 2


def test_a_wrong_mend_can_be_taken_back(run: Run) -> None:
    """The record as it came is still there."""
    assert run("redrive", HELD, "--set", "items={").code == 1
    assert run("redrive", HELD, "--set", "total_amount=10.00").code == 1
    told = run("redrive", HELD, "--original")
    assert (told.code, told.err) == (1, f"redrive: error: letter {HELD}: total_amount: must not be negative\n") or (
        "total_amount" in told.err and "items" not in told.err
    )
    assert run("redrive", HELD, "--set", "total_amount=10.00").code == 0


def test_who_comes_too_late_is_told(run: Run, worker: _Worker) -> None:
    """Somebody else has mended the letter meanwhile: it counts once, and not as this one wanted."""
    send, others = worker.send, action("redrive", HELD, value=event("created", "held"))

    async def send_late(*args: Any) -> None:
        del vars(worker)["send"]
        await send(TOPICS.orders, None, others, ((ACTION_HEADER, b""),), HOME)
        await send(*args)

    vars(worker)["send"] = send_late
    told = run("redrive", HELD, "--set", "total_amount=99.00")
    assert (told.code, told.out) == (1, "redrive: 1 of 1 done: 1 refused\n")
    assert told.err == f"redrive: error: letter {HELD}: it was closed before\n"


def test_what_fails_again_is_the_same_letter(run: Run) -> None:
    """With one redrive more, and who asked for it."""
    for _ in range(3):
        told = run("redrive", "--cause", "undecodable")
        assert (told.code, told.out) == (1, "redrive: 2 of 2 done: 2 dead\n")
        assert f"redrive: error: letter {RUBBISH}: the value is not JSON" in told.err
    letters = run("list", "--json", "--cause", "undecodable").objects
    assert [(each["redrives"], each["attempts"]) for each in letters] == [(3, 4), (3, 4)]
    assert states(run) == ALL


def test_purged_letters_are_closed_and_what_was_behind_them_follows(run: Run) -> None:
    """A paid order that was never created waits for that then."""
    told = run("purge", HELD)
    assert (told.code, told.out) == (0, "purge: 1 of 1 done: 1 purged\n")
    assert states(run) == ALL | {HELD: "purged", PARKED: "waiting"}
    again = run("purge", HELD)
    assert (again.code, again.err) == (1, f"purge: error: there is no open letter {HELD}\n")


def test_a_dry_run_asks_for_nothing(run: Run, worker: _Worker) -> None:
    """It prints which letters are meant."""
    before = [len(sent) for sent in worker.sent]
    told = run("redrive", HELD, "--set", "total_amount=10.00", "--dry-run")
    assert '"total_amount":"10.00"' in told.out
    told = run("purge", "--cause", "undecodable", "--dry-run", "--limit", "1")
    assert told.out.splitlines() == [f"{RUBBISH}  dead  undecodable", "purge would be asked for 1 letters"]
    assert [len(sent) for sent in worker.sent] == before
    assert states(run) == ALL


def test_a_rate_holds_back(run: Run, worker: _Worker) -> None:
    """One record a letter then, so much time apart."""
    began = time.monotonic()
    assert run("purge", "--cause", "undecodable", "--rate", "4").code == 0
    assert time.monotonic() - began >= 0.25
    assert len(worker.sent[OTHER]) == 4


def test_ctrl_c_stops_asking(run: Run, worker: _Worker) -> None:
    """And says how far it was."""
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    told = run("redrive", "--cause", "undecodable", "--rate", "0.1")
    timer.join()
    assert (told.code, told.out) == (130, "asked for 1 of 2 letters\n")
    assert len(worker.sent[OTHER]) == 3


def test_without_a_worker_it_says_so(run: Run, worker: _Worker) -> None:
    """What is asked for is done as soon as one runs."""
    worker.away = True
    told = run("redrive", RUBBISH, "--wait", "0.1")
    assert (told.code, told.out) == (1, "redrive: 0 of 1 done\n")
    assert "no worker has done the rest within 0.1 s; it is done as soon as one does" in told.err
    told = run("redrive", RUBBISH, "--wait", "0")
    assert (told.code, told.out) == (0, "asked for 1 letters; they are not waited for\n")


def test_a_broker_that_refuses_is_told_in_one_line(run: Run, worker: _Worker) -> None:
    """With the exit code for that."""
    worker.refuses = True
    told = run("purge", RUBBISH)
    assert (told.code, told.err) == (7, "purge: error: topic orders may not be written by this client\n")


@pytest.mark.parametrize("deed", ["redrive", "purge"])
@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], 2, "say which letters: ids, --cause, --order-id … or --everything"),
        (["12"], 2, "'12' is no id of a letter: they look like 2-1234"),
        (["--since", "yesterday"], 2, "'yesterday' is no time: write 2026-11-21T12:00:00Z, or 15m"),
        (["--limit", "0"], 2, "0 is not in the range x>=1"),
        (["7-7"], 1, "7-7"),
        (["--cause", "none_such"], 2, "'none_such' is not one of 'undecodable', "),
        (["--cause", "handler_failed"], 0, ""),
    ],
)
def test_what_cannot_be_done_is_told(run: Run, deed: str, arguments: list[str], code: int, text: str) -> None:
    """And changes nothing."""
    told = run(deed, *arguments)
    assert (told.code, text in told.err) == (code, True), told
    assert states(run) == ALL


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([PARKED], 1, f"letter {PARKED} is parked behind letter {HELD} of the same order: redrive or purge that one"),
        ([RUBBISH, "--set", "a=1"], 1, "the record is not JSON: give the whole value with --value"),
        ([HELD, "--set", "items.3.qty=1"], 1, "there is no items.3.qty to be set in this event"),
        ([HELD, "--set", "qty"], 2, "--set qty sets nothing: write field=value"),
    ],
)
def test_what_cannot_be_redriven_is_told(run: Run, arguments: list[str], code: int, text: str) -> None:
    """And changes nothing."""
    told = run("redrive", *arguments)
    assert (told.code, text in told.err) == (code, True), told
    assert states(run) == ALL


def test_figures_are_told(run: Run) -> None:
    """For people, and as JSON."""
    told = run("stats", "--json").objects[0]
    assert (told["open"], told["states"]) == (5, {"dead": 4, "parked": 1})
    assert told["causes"] == {"invalid_event": 1, "order_exists": 1, "parked": 1, "undecodable": 2}
    assert told["last_minute"] == 5
    lines = run("stats").out.splitlines()
    assert lines[0] == "states: dead 4, parked 1"
    assert lines[2].startswith("open: 5, the oldest for ")


def test_the_group_explains_itself(run: Run) -> None:
    """Every command is listed, and says what it exits with."""
    told = run("--help")
    assert all(name in told.out for name in ("list", "show", "stats", "redrive", "purge", "parked"))
    for name in ("list", "show", "stats", "redrive", "purge"):
        assert "Exit codes" in run(name, "--help").out
