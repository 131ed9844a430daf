"""`make run`: one worker in the foreground, the sample orders the first time, and a word on where to look.

It takes no arguments; what there is to choose is in the environment: ORDERS_BROKER (embedded:// by default), redis://…,
kafka://…; ORDERS_WEB_PORT (6066); ORDERS_DATA_DIR (.orderflow); all of them in docs/operating.md.
"""

import argparse
import asyncio
import json
import logging
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from app.engine.errors import EngineError, Unavailable
from app.settings import Settings, SettingsError, load_settings
from app.transports import transport_for

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples" / "orders.jsonl"
FAUST = (str(Path(sys.executable).with_name("faust")), "-A", "app")
READY_SECONDS = 60.0
STOP_SECONDS = 15.0
SIGNALLED = 128
"""Exit code of a worker that was killed: this and the number of the signal, as a shell has it."""

POLL_SECONDS = 0.1
ELSEWHERE = "in another terminal"


async def run(settings: Settings) -> int:
    """Run a worker until it ends, until Ctrl-C, SIGTERM or the terminal's end; returns its exit code: 0 if stopped."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    first_time = await transport_for(settings.broker).is_unused(settings)
    # In a session of its own: Ctrl-C in a terminal would reach it twice, from there and from here.
    worker = await asyncio.create_subprocess_exec(*FAUST, "worker", "-l", "info", cwd=ROOT, start_new_session=True)
    ended, stopped = asyncio.create_task(worker.wait()), asyncio.create_task(stop.wait())
    welcome = asyncio.create_task(_welcome(settings, first_time=first_time))
    try:
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (welcome, stopped):
            task.cancel()
        await asyncio.gather(welcome, stopped, return_exceptions=True)
        await _end(worker, signal.SIGINT)
    code = await ended
    return code if code >= 0 else SIGNALLED - code


async def _end(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Ask a process to end, and kill it if it does not within STOP_SECONDS."""
    with suppress(ProcessLookupError):
        process.send_signal(number)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _welcome(settings: Settings, *, first_time: bool) -> None:
    """Wait for the worker, send the samples the first time, and say what to try."""
    address = web_address(settings)
    try:
        await asyncio.wait_for(_ready(address), READY_SECONDS)
    except TimeoutError:
        _say(f"The worker is not ready after {READY_SECONDS:.0f} s; {address}/readyz says why.")
        return
    if first_time:
        await _send_samples()
    _say(summary(settings))


async def _ready(address: str) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{address}/readyz") as answer:
                    if answer.ok:
                        return
            await asyncio.sleep(POLL_SECONDS)


async def _send_samples() -> None:
    _say(f"First run on this broker: sending the sample orders ({SAMPLES.relative_to(ROOT)}).")
    emit = await asyncio.create_subprocess_exec(*FAUST, "emit", str(SAMPLES), cwd=ROOT, start_new_session=True)
    try:
        if await emit.wait() != 0:
            _say(f"Not all of them were sent; again: .venv/bin/faust -A app emit {SAMPLES.relative_to(ROOT)}")
    except asyncio.CancelledError:
        await _end(emit, signal.SIGINT)
        raise


def summary(settings: Settings) -> str:
    """Return where things are and three things to try."""
    address = web_address(settings)
    customer = json.loads(SAMPLES.read_text().partition("\n")[0])["customer_id"]
    return "\n".join(
        (
            f"Orderflow is running on {settings.broker_shown}. Open {address} in a browser, or try {ELSEWHERE}:",
            f"  curl {address}/api/customers/{customer}",
            "  .venv/bin/faust -A app emit --sample 20000 --seed 2 --rate 200     (and watch the dashboard)",
            f"  {_second_worker(settings)}     (a second worker takes half of the partitions)",
            "Ctrl-C stops this worker.",
        )
    )


def web_address(settings: Settings) -> str:
    """Return the address of the worker's web server as seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.web_host, settings.web_host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{settings.web_port}" if ":" in host else f"http://{host}:{settings.web_port}"


def web_port_is_taken(settings: Settings) -> bool:
    """Return whether something listens there already."""
    where = urlsplit(web_address(settings))
    try:
        socket.create_connection((where.hostname or "", where.port or 0), timeout=2).close()
    except OSError:
        return False
    return True


def _say(text: str) -> None:
    print(f"\n{text}\n", flush=True)


def main() -> int:
    """Check what a worker needs, run it, and return the exit code; what is missing is said in one line."""
    argparse.ArgumentParser(
        "make run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # one line of our own says it
    try:
        settings = load_settings()
    except SettingsError as error:
        return _give_up(str(error), 2)
    address = web_address(settings)
    if web_port_is_taken(settings):
        return _give_up(f"{address} is in use; beside another worker: {_second_worker(settings)}", 1)
    try:
        return asyncio.run(run(settings))
    except EngineError as error:
        hint = "; start one with `make kafka`, or leave ORDERS_BROKER out for the embedded broker"
        no_kafka = isinstance(error, Unavailable) and settings.broker.startswith("kafka:")
        return _give_up(f"{error}{hint if no_kafka else ''}", error.exit_code)


def _give_up(fault: str, code: int) -> int:
    print(f"make run: {fault}", file=sys.stderr)
    return code


def _second_worker(settings: Settings) -> str:
    return f"ORDERS_WEB_PORT={settings.web_port + 1} make run"


if __name__ == "__main__":
    sys.exit(main())
