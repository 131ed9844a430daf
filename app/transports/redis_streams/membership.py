"""Who owns which partition: workers tell the server that they live, and share the partitions by what it answers.

Whoever first sees that the members are no longer those of the assignment makes a new one of it, and writes it if nobody
was faster; all others find it with their next heartbeat. It carries everybody's web address, for routing.
"""

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from app.engine.errors import EngineError, Inconsistent, MembershipLost, Unavailable
from app.settings import Settings
from app.transports.contract import OnAssigned, OnRevoked
from app.transports.redis_streams.connection import RedisServer
from app.transports.redis_streams.failures import translated
from app.transports.redis_streams.keys import keys_for
from app.transports.redis_streams.scripts import Session
from app.transports.sharing import share

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
RETRY_SECONDS = 0.25
CONFIRM_SECONDS = 2.0
"""The least time for an answer: this process may itself have been away for longer than the broker time-out."""

LEAVE_SECONDS = 1.0


class Membership:
    """This worker's place in the group of its application. `worker` is its name there, another with every start."""

    def __init__(
        self, server: RedisServer, settings: Settings, web_url: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> None:
        self.worker = f"{socket.gethostname()}-{secrets.token_hex(6)}"
        self.routes: Mapping[int, str] = {}
        self.workers: Collection[str] = ()
        self._server = server
        self._settings = settings
        self._keys = keys_for(settings)
        self._web_url = web_url
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._owned: frozenset[int] = frozenset()
        self._taken = ""  # the assignment that was taken in last
        self._generation = 0
        self._session = Session(server)
        self._failing_since: float | None = None
        self._turn = asyncio.Lock()
        self._left = False

    async def start(self) -> None:
        """Become a member; partitions come by `watch`."""
        while True:
            try:
                await self._heartbeat()
            except Unavailable:
                if self._patience() <= 0:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def stop(self) -> None:
        """Leave the group, so that the others need not wait for a time-out."""
        self._left = True
        with contextlib.suppress(EngineError, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS), self._turn:
                with translated("leaving the group"):
                    await self._session.client.zrem(self._keys.members, self.worker)
        if not self._turn.locked():  # a heartbeat that waits for its answer still uses it, and leaves it when it fails
            with contextlib.suppress(Exception):
                await self._session.client.aclose()

    async def watch(self) -> None:
        """Send heartbeats and take in assignments until `stop`; raises `Refused`, `MembershipLost`, `Unavailable`.

        A server that is away is waited for: lanes notice for themselves, and say so after the broker time-out.
        """
        seconds = min(HEARTBEAT_SECONDS, self._settings.session_timeout / 3)
        while not self._left:
            try:
                await self._take_in(await self._heartbeat())
            except Unavailable as error:
                if self._patience() <= 0:
                    raise
                log.warning("No heartbeat: %s", error)
            await asyncio.sleep(seconds)

    async def confirm(self, partition: int) -> bool:
        """Ask the server, now, whether this worker shall own `partition`."""
        reason = "no answer"
        try:
            async with asyncio.timeout(max(self._patience(), CONFIRM_SECONDS)):
                while not self._left:
                    try:
                        assignment = await self._heartbeat()
                    except Unavailable as error:
                        reason = str(error)
                    else:
                        if assignment != self._taken:
                            self._taken = ""  # the caller acts on it, so the worker hears of it even if it is undone
                        return partition in _share_of(assignment, self.worker)
                    await asyncio.sleep(RETRY_SECONDS)
        except TimeoutError as error:
            raise Unavailable(
                f"no answer from {self._server.name} for {self._settings.broker_timeout:g} s "
                f"(ORDERS_BROKER_TIMEOUT): {reason}"
            ) from error
        return False

    def _patience(self) -> float:
        """Return for how many seconds more the server may stay away."""
        now = asyncio.get_running_loop().time()
        return self._settings.broker_timeout - (now - (self._failing_since or now))

    async def _heartbeat(self) -> str:
        """Say that this worker lives; return the assignment, made anew if the members are not those it is for."""
        async with self._turn:
            client, began = self._session.client, asyncio.get_running_loop().time()
            try:
                with translated("sending a heartbeat"):
                    assignment = await self._ask()
            except Unavailable:
                if self._failing_since is None:
                    self._failing_since = began
                await self._session.renew(client)
                raise
        self._failing_since = None
        return assignment

    async def _ask(self) -> str:
        keys = [self._keys.members, self._keys.assignment]
        session_ms = int(self._settings.session_timeout * 1000)
        answer = await self._session.scripts("heartbeat", keys, [self.worker, session_ms])
        assignment, *members = (part.decode() for part in answer)
        wanted: str = self._assignment_for(assignment, members)
        if wanted == assignment:
            return wanted
        found: bytes = await self._session.scripts("assign", [self._keys.assignment], [assignment, wanted])
        return found.decode()

    def _assignment_for(self, assignment: str, members: list[str]) -> str:
        """Return the assignment as it should be: as it is, if it is for these members and tells where we are."""
        now = _parse(assignment)
        mine = now.get(self.worker)
        if now.keys() == set(members) and mine is not None and mine["web"] == self._web_url:
            return assignment
        shares = share(range(self._settings.partitions), {m: now.get(m, {}).get("partitions", ()) for m in members})
        web = {member: told["web"] for member, told in now.items()} | {self.worker: self._web_url}
        return orjson.dumps(
            {member: {"web": web.get(member, ""), "partitions": shares[member]} for member in sorted(members)}
        ).decode()

    async def _take_in(self, assignment: str) -> None:
        """Tell the worker what has changed."""
        if assignment == self._taken or self._left:
            return
        members = _parse(assignment)
        owned = frozenset(_share_of(assignment, self.worker))
        self.routes = {
            partition: told["web"] for told in members.values() for partition in told["partitions"] if told["web"]
        }
        self.workers = [told["web"] for told in members.values() if told["web"]]
        first = not self._taken
        self._taken = assignment
        if owned == self._owned and not first:
            return
        try:
            await self._on_revoked(set(self._owned))
            self._owned = owned
            self._generation += 1
            await self._on_assigned(set(owned), self._generation)
        except Exception as error:
            raise MembershipLost(f"a new share of the partitions could not be taken: {error}") from error


def _parse(assignment: str) -> dict[str, Any]:
    """Return each member's web address and partitions."""
    try:
        members: dict[str, Any] = orjson.loads(assignment) if assignment else {}
    except orjson.JSONDecodeError as error:
        raise Inconsistent(f"the group's assignment is none of ours: {assignment[:40]!r}; remove its key") from error
    return members


def _share_of(assignment: str, worker: str) -> list[int]:
    found: list[int] = _parse(assignment).get(worker, {}).get("partitions", [])
    return found
