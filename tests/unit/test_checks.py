"""A team's own check, against a real server that says yes or no, fails, takes too long, or asks to come back later."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app.delivery.checks import IN_VAIN, Checks, Failures, Refuse, TryAgain, load_check
from app.delivery.dead_letters import Failure
from app.delivery.fault import Transient
from app.engine.errors import Unusable
from models.events import Event


class FraudServer:
    """What it answers is in the id of the order."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Do as the order's id says."""
        order = request.match_info["order"]
        self.calls[order] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(3.0 if order == "slow" else 0.01)
        finally:
            self.at_once -= 1
        if order == "limit":
            return web.Response(status=429, headers={"Retry-After": "7"})
        if order.startswith("down"):
            return web.Response(status=503)
        return web.json_response({"fraud": order == "fraud"})

    async def check(self, event: Event) -> None:
        """Ask it, as a team would write it."""
        if event.order_id == "bug":
            raise ZeroDivisionError("a fault of the check")
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/{event.order_id}") as response:
            if response.status == 429:
                raise TryAgain("too many calls", float(response.headers["Retry-After"]))
            if response.status >= 500:
                raise TryAgain(f"the fraud service answers {response.status}")
            if (await response.json())["fraud"]:
                raise Refuse("the fraud service says no")


@pytest.fixture
async def server() -> AsyncIterator[FraudServer]:
    """Run it."""
    fraud = FraudServer()
    app = web.Application()
    app.add_routes([web.get("/{order}", fraud.answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    fraud.url = f"http://127.0.0.1:{port}"
    yield fraud
    await runner.cleanup()


def event(order_id: str) -> Event:
    """Return an event of an order."""
    return Event("order.paid", "e", "2026-11-21T12:00:00", order_id, "c")


def told(fault: Any) -> tuple[str, str, float | None] | None:
    """Return cause, message and the pause asked for, -1 if it is for good."""
    if fault is None:
        return None
    failure: Failure = fault.failure if isinstance(fault, Transient) else fault
    assert failure.order_id is not None
    return failure.cause, failure.message, fault.retry_after if isinstance(fault, Transient) else -1.0


async def test_each_answer_is_told_apart(server: FraudServer) -> None:
    """Yes, no, later, and faults; what is not to be checked is not."""
    checks = Checks(server.check, 8, 0.5)
    orders = ["good", "fraud", "limit", "down", "slow", "bug"]
    faults = await checks.faults([*map(event, orders), None], Failures())
    assert list(map(told, faults)) == [
        None,
        ("check_refused", "the fraud service says no", -1.0),
        ("check_failed", "too many calls", 7.0),
        ("check_failed", "the fraud service answers 503", None),
        ("check_failed", "no answer within 0.5 s", None),
        ("handler_failed", "ZeroDivisionError: a fault of the check", -1.0),
        None,
    ]
    assert isinstance(faults[5], Failure)
    assert "ZeroDivisionError" in (faults[5].stacktrace or "")


async def test_no_server_at_all_is_a_failure_for_the_moment(server: FraudServer) -> None:
    """As a lost connection is."""
    server.url = "http://127.0.0.1:9"
    (fault,) = await Checks(server.check, 8, 5.0).faults([event("good")], Failures())
    assert isinstance(fault, Transient)
    assert "127.0.0.1" in fault.failure.message


class Unspeakable(Exception):
    """An error of somebody's that cannot say what it is."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("\ud800" + "x" * 100_000), "handler_failed"),
        (TryAgain("\ud800" + "x" * 100_000), "check_failed"),
        (Refuse("\ud800" + "x" * 100_000), "check_refused"),
        (OSError("\ud800" + "x" * 100_000), "check_failed"),
        (asyncio.CancelledError(), "handler_failed"),
        (BaseExceptionGroup("several", [asyncio.CancelledError()]), "handler_failed"),
        (Unspeakable(), "handler_failed"),
    ],
)
async def test_whatever_a_check_raises_can_be_kept(error: BaseException, cause: str) -> None:
    """Its text may be endless, or no text at all; a letter's is neither."""

    async def check(_event: Event) -> None:
        raise error

    (fault,) = await Checks(check, 5, 5.0).faults([event("o")], Failures())
    assert fault is not None
    failure = fault.failure if isinstance(fault, Transient) else fault
    assert failure.cause == cause
    assert len(failure.message.encode()) < 1_000
    assert len((failure.stacktrace or "").encode()) < 10_000


async def test_calls_are_ended_with_the_worker(server: FraudServer) -> None:
    """Whoever waits for checks can be cancelled."""
    waiting = asyncio.create_task(Checks(server.check, 5, 5.0).faults([event("slow")], Failures()))
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_calls_are_made_side_by_side_but_not_too_many(server: FraudServer) -> None:
    """Others get their turn meanwhile."""
    await Checks(server.check, 5, 5.0).faults([event(f"order{n}") for n in range(40)], Failures())
    assert server.most_at_once == 5
    assert server.calls.total() == 40


async def test_a_service_that_is_down_is_not_called_for_every_event(server: FraudServer) -> None:
    """After some failures in a row the rest is tried later; the next batch tries anew."""
    checks = Checks(server.check, 5, 5.0)
    faults = await checks.faults([event(f"down{n}") for n in range(500)], Failures())
    assert all(isinstance(fault, Transient) for fault in faults)
    assert IN_VAIN <= server.calls.total() <= IN_VAIN + 5
    tried = [fault for fault in faults if isinstance(fault, Transient) and fault.tried]
    assert len(tried) == server.calls.total()  # what was not called is no attempt of its event
    assert await checks.faults([event("good")], Failures()) == [None]


async def test_failures_are_counted_over_the_parts_of_a_step(server: FraudServer) -> None:
    """Else a service that hangs would cost its time-out for each part."""
    checks, failures = Checks(server.check, 5, 5.0), Failures()
    for _ in range(4):
        await checks.faults([event(f"down{n}") for n in range(500)], failures)
    assert server.calls.total() <= IN_VAIN + 5


@pytest.mark.parametrize("path", ["nowhere:check", "json:nothing", "json", "json:loads", ""])
def test_a_check_that_cannot_be_used_is_said_so(path: str) -> None:
    """At start, with the setting's name."""
    with pytest.raises(Unusable, match="ORDERS_CHECK"):
        load_check(path)


def test_a_check_is_named_by_module_and_function() -> None:
    """As Python's entry points are."""
    assert load_check("tests.apps.fraud:check").__name__ == "check"
