"""The emit command: what it sends, what it prints, what it exits with, against senders that behave in every way."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import faust
import pytest
from faust.cli.base import call_command, cli

from app.commands import _sending, emit
from app.commands._lines import LinesError, read_lines
from app.commands._sending import key_of
from app.engine.errors import Refused, Unavailable
from app.sources.samples import sample_events


class _FakeSender:
    """A sender in memory. `fails_at`: the record that is refused; `silent_after`: acknowledges no more than these."""

    def __init__(self, fails_at: int | None = None, silent_after: int | None = None) -> None:
        self.sent: list[tuple[str, bytes | None, bytes | None]] = []
        self.closed = False
        self._fails_at = fails_at
        self._silent_after = silent_after

    @property
    def acknowledged(self) -> int:
        return len(self.sent) if self._silent_after is None else min(len(self.sent), self._silent_after)

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int | None = None,
    ) -> None:
        assert not headers
        assert partition is None
        if self._fails_at == len(self.sent):
            raise Refused("topic orders may not be written by this client")
        self.sent.append((topic, key, value))

    async def flush(self) -> None:
        if self._silent_after is not None:
            await asyncio.Event().wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True


class _Unreachable(_FakeSender):
    """A broker that never answers."""

    async def __aenter__(self) -> Self:
        await asyncio.Event().wait()
        return self


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run() -> Iterator[Run]:
    """Run the command against a sender: (exit code, standard output, standard error)."""

    def call(sender: _FakeSender, *args: str | Path) -> tuple[int, str, str]:
        app = faust.App("emit-test", broker="memory://", autodiscover=False)
        emit.register(app, lambda: sender, "orders")
        out, err = io.StringIO(), io.StringIO()
        code, _, _ = call_command("emit", [str(arg) for arg in args], app=app, stdout=out, stderr=err)
        assert isinstance(code, int)
        return code, out.getvalue(), err.getvalue()

    yield call
    cli.commands.pop("emit", None)
    asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time limits that a test can wait for."""
    monkeypatch.setattr(_sending, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(_sending, "STALLED_SECONDS", 0.3)
    monkeypatch.setattr(_sending, "GOODBYE_SECONDS", 0.2)


def test_lines_are_sent_as_they_are_under_their_customer(run: Run, tmp_path: Path) -> None:
    """Every line is a record, byte for byte, whatever is in it; only blank ones are left out."""
    lines = [
        b'{"customer_id": "c-1",   "x": 1}',
        b'{"customer_id": 17}',
        b'{"customer_id": "zo\\u00eb"}',
        b"not json \xff",
        b'["customer_id"]',
        b'{"customer_id": true}',
        b'{"customer_id": ""}',
    ]
    file = tmp_path / "orders.jsonl"
    file.write_bytes(b"\n" + b"\n  \n".join(lines[:4]) + b"\r\n" + b"\n".join(lines[4:]))
    sender = _FakeSender()
    assert run(sender, file) == (0, "acknowledged 7 of 7\n", "")
    assert [value for _, _, value in sender.sent] == lines
    assert [key for _, key, _ in sender.sent] == [b"c-1", b"17", "zoë".encode(), None, None, None, None]
    assert {topic for topic, _, _ in sender.sent} == {"orders"}
    assert sender.closed


def test_files_are_sent_one_after_another(run: Run, tmp_path: Path) -> None:
    """The order of the command line is the order of the topic, also without a line end between files."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(f'"{name}1"\n"{name}2"')
    sender = _FakeSender()
    assert run(sender, tmp_path / "b", tmp_path / "a")[0] == 0
    assert [value for _, _, value in sender.sent] == [b'"b1"', b'"b2"', b'"a1"', b'"a2"']


def test_a_sample_is_what_the_generator_gives(run: Run) -> None:
    """The options are those of the generator."""
    sender = _FakeSender()
    options = ["--sample", "500", "--seed", "9", "--customers", "7", "--invalid", "0.1", "--duplicates", "0.1"]
    assert run(sender, *options) == (0, "acknowledged 500 of 500\n", "")
    assert [value for _, _, value in sender.sent] == list(sample_events(500, 9, 7, 0.1, 0.1))
    assert [key for _, key, _ in sender.sent] == [key_of(value) for _, _, value in sender.sent if value]


def test_an_empty_file_is_sent_in_full(run: Run, tmp_path: Path) -> None:
    """Nothing to send is no error."""
    (tmp_path / "empty").touch()
    assert run(_FakeSender(), tmp_path / "empty") == (0, "acknowledged 0 of 0\n", "")


def test_the_rate_is_kept(run: Run) -> None:
    """R records a second: 31 records at 100 a second take 0.3 s."""
    begin = time.monotonic()
    assert run(_FakeSender(), "--sample", "31", "--rate", "100")[0] == 0
    assert time.monotonic() - begin >= 0.3


@pytest.mark.parametrize("name", ["missing.jsonl", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_one_line_and_exit_code_2(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """All files are looked at before anything is sent."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").write_text("{}\n")
    sender = _FakeSender()
    code, out, err = run(sender, "good", name)
    assert (code, out) == (2, "")
    assert err.startswith(f"emit: error: cannot read {name}")
    assert err.count("\n") == 1
    assert not sender.sent


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["orders.jsonl", "--sample", "1"],
        ["-", "-"],
        ["orders.jsonl", "--seed", "1"],
        ["--sample", "1", "--invalid", "0.6", "--duplicates", "0.6"],
    ],
)
def test_options_that_make_no_sense_are_explained(run: Run, args: list[str]) -> None:
    """Exit code 2, a usage text, and what is wrong."""
    code, out, err = run(_FakeSender(), *args)
    assert (code, out) == (2, "")
    assert "Usage:" in err
    assert "Error:" in err


def test_a_broker_that_does_not_answer_is_one_line(run: Run) -> None:
    """Within the time limit, with nothing on standard output."""
    code, out, err = run(_Unreachable(), "--sample", "5")
    assert (code, out) == (Unavailable.exit_code, "")
    assert err.startswith("emit: error: the broker did not answer within")
    assert err.count("\n") == 1


def test_a_refused_record_ends_the_command(run: Run) -> None:
    """What was acknowledged before is told."""
    code, out, err = run(_FakeSender(fails_at=3), "--sample", "5")
    assert (code, out) == (Refused.exit_code, "acknowledged 3 of 5\n")
    assert err == "emit: error: topic orders may not be written by this client\n"


def test_a_broker_that_falls_silent_is_given_up(run: Run) -> None:
    """The command does not hang when acknowledgements stop."""
    code, out, err = run(_FakeSender(silent_after=2), "--sample", "5")
    assert (code, out) == (Unavailable.exit_code, "acknowledged 2 of 5\n")
    assert "has acknowledged nothing for" in err


def test_less_acknowledged_than_sent_is_a_failure(run: Run) -> None:
    """Even if the sender raises nothing."""

    class Forgetful(_FakeSender):
        async def flush(self) -> None:
            pass

    code, out, err = run(Forgetful(silent_after=4), "--sample", "5")
    assert (code, out) == (1, "acknowledged 4 of 5\n")
    assert err == "emit: error: 1 records were not acknowledged by the broker\n"


def test_ctrl_c_tells_what_was_acknowledged(run: Run) -> None:
    """The command ends at once, in good order."""
    sender = _FakeSender()
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    code, out, err = run(sender, "--sample", "100000", "--rate", "100")
    timer.join()
    assert (code, err) == (130, "")
    assert out == f"acknowledged {len(sender.sent)} of 100000\n"
    assert sender.closed


def test_ctrl_c_ends_a_command_that_waits_for_standard_input() -> None:
    """In a real process: reading a pipe that stays open keeps nobody."""
    program = """
        import sys, faust
        from faust.cli.base import call_command
        from app.commands import emit
        from tests.unit.test_emit import _FakeSender

        class Talking(_FakeSender):
            async def send(self, topic, key, value):
                await super().send(topic, key, value)
                print("sent", flush=True)

        app = faust.App("emit-test", broker="memory://", autodiscover=False)
        emit.register(app, Talking, "orders")
        sys.exit(call_command("emit", ["-"], app=app, stdout=sys.stdout, stderr=sys.stderr)[0])
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write('{"customer_id": 1}\n{"customer')
        process.stdin.flush()
        assert process.stdout.readline() == "sent\n"
        process.send_signal(signal.SIGINT)
        out, err = process.stdout.read(), process.stderr and process.stderr.read()
        assert (process.wait(10), out, err) == (130, "acknowledged 1 of 1\n", "")


def test_help_teaches(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Every option, and examples to copy."""
    assert run(_FakeSender(), "--help")[0] == 0
    text = capsys.readouterr().out
    for word in ("--sample", "--seed", "--customers", "--invalid", "--duplicates", "--rate", "Examples:", "FILE"):
        assert word in text
    assert "faust -A app emit samples/orders.jsonl\n" in text


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, 200_000])
async def test_lines_longer_than_a_chunk_stay_whole(tmp_path: Path, size: int) -> None:
    """However a file falls into chunks, the lines come out as they were."""
    lines = [b"a" * size, b"b", b"", b"c" * size, b"d"]
    file = tmp_path / "lines"
    file.write_bytes(b"\n".join(lines))
    assert [line async for chunk in read_lines([str(file)]) for line in chunk] == lines


async def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    """Reading fails later than the first look: still one clear error."""
    with pytest.raises(LinesError, match=r"cannot read .*gone"):
        async for _ in read_lines([str(tmp_path / "gone")]):
            pass
