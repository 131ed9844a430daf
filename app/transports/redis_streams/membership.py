"""Who owns which partition: workers tell the server that they live, and share the partitions by what it answers.

Whoever first sees that the members are no longer those of the assignment makes a new one of it, and writes it if nobody
was faster; all others find it with their next heartbeat. It carries everybody's web address, for routing.
"""

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Mapping
from typing import Any

import orjson

from app.engine.errors import EngineError, MembershipLost, Unavailable
from app.settings import Settings
from app.transports.contract import OnAssigned, OnRevoked
from app.transports.redis_streams.connection import RedisServer, translated
from app.transports.redis_streams.keys import keys_for
from app.transports.redis_streams.scripts import Scripts
from app.transports.sharing import share

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
CONFIRM_SECONDS = 0.25
CONFIRM_SHARE = 2 / 3
"""How much of the broker time-out may be spent on asking; an unanswered commit has taken the rest."""

LEAVE_SECONDS = 1.0


class Membership:
    """This worker's place in the group of its application. `worker` is its name there, another with every start."""

    def __init__(
        self, server: RedisServer, settings: Settings, web_url: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> None:
        self.worker = f"{socket.gethostname()}-{secrets.token_hex(6)}"
        self.routes: Mapping[int, str] = {}
        self._server = server
        self._settings = settings
        self._keys = keys_for(settings)
        self._web_url = web_url
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._owned: frozenset[int] = frozenset()
        self._taken = ""  # the assignment that was taken in last
        self._generation = 0
        self._client = server.client()
        self._scripts = Scripts(self._client)
        self._turn = asyncio.Lock()
        self._left = False

    async def start(self) -> None:
        """Become a member; partitions come by `watch`."""
        await self._heartbeat()

    async def stop(self) -> None:
        """Leave the group, so that the others need not wait for a time-out."""
        self._left = True
        with contextlib.suppress(EngineError, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS), self._turn:
                with translated("leaving the group"):
                    await self._client.zrem(self._keys.members, self.worker)
        with contextlib.suppress(Exception):
            await self._client.aclose()

    async def watch(self) -> None:
        """Send heartbeats and take in assignments until `stop`; raises `Refused`, `MembershipLost`, `Unavailable`.

        A server that is away is waited for: lanes notice for themselves, and say so after the broker time-out.
        """
        loop = asyncio.get_running_loop()
        seconds = min(HEARTBEAT_SECONDS, self._settings.session_timeout / 3)
        answered = loop.time()
        while not self._left:
            try:
                assignment = await self._heartbeat()
                answered = loop.time()
                await self._take_in(assignment)
            except Unavailable as error:
                if loop.time() - answered > self._settings.broker_timeout:
                    raise
                log.warning("No heartbeat: %s", error)
                with contextlib.suppress(Unavailable):
                    await self._server.ensure()
            await asyncio.sleep(seconds)

    async def confirm(self, partition: int) -> bool:
        """Ask the server, now, whether this worker shall own `partition`."""
        reason = "no answer"
        try:
            async with asyncio.timeout(self._settings.broker_timeout * CONFIRM_SHARE):
                while not self._left:
                    try:
                        await self._server.ensure()
                        return partition in _share_of(await self._heartbeat(), self.worker)
                    except Unavailable as error:
                        reason = str(error)
                    await asyncio.sleep(CONFIRM_SECONDS)
        except TimeoutError as error:
            raise Unavailable(f"no answer from {self._server.name} for too long: {reason}") from error
        return False

    async def _heartbeat(self) -> str:
        """Say that this worker lives; return the assignment, made anew if the members are not those it is for."""
        keys = [self._keys.members, self._keys.assignment]
        async with self._turn:
            with translated("sending a heartbeat"):
                session_ms = int(self._settings.session_timeout * 1000)
                answer = await self._scripts("heartbeat", keys, [self.worker, session_ms])
                assignment, *members = (part.decode() for part in answer)
                wanted = self._assignment_for(assignment, members)
                if wanted != assignment:
                    answer = await self._scripts("assign", [self._keys.assignment], [assignment, wanted])
                    assignment = answer.decode()
        return str(assignment)

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
    members: dict[str, Any] = orjson.loads(assignment) if assignment else {}
    return members


def _share_of(assignment: str, worker: str) -> list[int]:
    found: list[int] = _parse(assignment).get(worker, {}).get("partitions", [])
    return found
