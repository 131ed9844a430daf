"""A worker's place in the group, without a worker: in this process, or in one of its own to be killed or paused."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from app.settings import Settings
from app.transports import transport_for
from app.transports.contract import Membership
from tests.contract.brokers.server import environment

ROOT = Path(__file__).parents[2]


class Member:
    """A member, and what it was told."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.owned: set[int] | None = None
        self.revoked = 0
        self.generations: list[int] = []
        self.fail = False
        self.url = f"http://{name}"
        self.membership: Membership = transport_for(settings.broker).open_membership(
            settings, self.url, self._assigned, self._revoked
        )

    async def _assigned(self, partitions: set[int], generation: int) -> None:
        if self.fail:
            raise ZeroDivisionError("the engine has a fault")
        self.owned = set(partitions)
        self.generations.append(generation)

    async def _revoked(self, partitions: set[int]) -> None:
        self.revoked += 1

    def routes(self) -> dict[str, set[int]]:
        """Return the partitions by the address of their owner, as this member sees it."""
        found: dict[str, set[int]] = {}
        for partition, url in self.membership.routes.items():
            found.setdefault(url, set()).add(partition)
        return found


@asynccontextmanager
async def joined(settings: Settings, name: str, *, watch: bool = True) -> AsyncIterator[Member]:
    """Join, take part, and leave at the end."""
    member = Member(settings, name)
    await member.membership.start()
    watching = asyncio.create_task(member.membership.watch()) if watch else None
    try:
        yield member
    finally:
        await member.membership.stop()
        if watching is not None:
            await asyncio.wait_for(watching, 10)


class MemberProcess:
    """A member in a process of its own."""

    def __init__(self, settings: Settings, name: str, output: Path) -> None:
        self.url = f"http://{name}"
        self._output = output
        others = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
        with output.open("wb") as stdout:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.contract.member", name],
                cwd=ROOT,
                env=others | environment(settings),
                stdout=stdout,
            )

    @property
    def owned(self) -> set[int] | None:
        """What it was told last that it owns."""
        lines = self._output.read_text().splitlines()
        return set(json.loads(lines[-1])) if lines else None

    @property
    def changes(self) -> int:
        """How often it was told."""
        return len(self._output.read_text().splitlines())

    def pause(self) -> None:
        """Suspend it."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a good-bye."""
        self.process.kill()
        self.process.wait(10)


@contextmanager
def joined_elsewhere(settings: Settings, name: str) -> Iterator[MemberProcess]:
    """Have another process join; it is killed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        member = MemberProcess(settings, name, Path(folder) / "owned")
        try:
            yield member
        finally:
            member.kill()


async def _run(name: str) -> None:
    member = Member(Settings(), name)
    told: Any = None
    await member.membership.start()
    watching = asyncio.create_task(member.membership.watch())
    while not watching.done():
        if member.owned != told:
            told = member.owned
            print(json.dumps(sorted(member.owned or ())), flush=True)  # noqa: T201 - what it is for
        await asyncio.sleep(0.02)
    await watching


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(sys.argv[1]))
