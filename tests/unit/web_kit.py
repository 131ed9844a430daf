"""Workers that are nothing but their web server, over partitions filled by hand; they ask each other over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web
from yarl import URL

from app.delivery.actions import Action
from app.engine.engine import LaneStatus
from app.engine.errors import EngineError, NotReady
from app.engine.lane import LaneState
from app.engine.state import PartitionState
from app.engine.table import encode_row
from app.metrics import Metrics
from app.runtime.web import SERVER
from app.settings import Settings
from app.tables import TABLES
from app.topics import ORDERS_TABLE, OUTCOMES_TABLE, Topics, partition_of, topics_for
from app.web.deeds import Ask
from app.web.routes import add_web
from models.aggregates import AGGREGATES
from models.events import parse_event
from models.order import Change, apply, order_key
from tools.local_kafka import free_port

PARTITIONS = 4


def partitions_of(events: Iterable[Mapping[str, Any]]) -> list[PartitionState]:
    """Return the partitions as they are after these events, all of which must be accepted."""
    partitions = [PartitionState([named.table for named in TABLES]) for _ in range(PARTITIONS)]
    for event in events:
        fold(partitions, event)
    return partitions


def fold(partitions: Sequence[PartitionState], event: Mapping[str, Any]) -> None:
    """Change the partition of an event as a committed step would."""
    parsed = parse_event(json.dumps(event).encode())
    tables = partitions[partition_of(parsed.customer_id, PARTITIONS)].tables
    key = order_key(parsed.customer_id, parsed.order_id)
    change = apply(tables[ORDERS_TABLE].get(key), parsed)
    assert isinstance(change, Change)
    rows: dict[tuple[str, str], Any] = {(ORDERS_TABLE, key): change.after}
    rows[OUTCOMES_TABLE, "accepted"] = 1 + (tables[OUTCOMES_TABLE].get("accepted") or 0)
    for aggregate in AGGREGATES:
        for row_key, delta in aggregate.contributions([change]).items():
            row = tables[aggregate.name].get(row_key)
            rows[aggregate.name, row_key] = delta if row is None else aggregate.merge(row, delta)
    for (table, row_key), row in rows.items():
        tables[table].apply({row_key: row}, [(row_key, encode_row(row))])


class Engine:
    """The engine as the web layer sees it. `states` may be changed to anything but running."""

    def __init__(self, partitions: Sequence[PartitionState], owned: Collection[int]) -> None:
        self.states = dict.fromkeys(sorted(owned), LaneState.RUNNING)
        self.end_offset: int | None = 10
        self._partitions = partitions

    def owns(self, partition: int) -> bool:
        """Whether it is among the states."""
        return partition in self.states

    def rows(self, partition: int) -> PartitionState:
        """Return the rows of a running one."""
        if partition not in self.states:
            raise NotReady(partition, "is not owned by this worker")
        if self.states[partition] is not LaneState.RUNNING:
            raise NotReady(partition, f"is {self.states[partition]} on this worker")
        return self._partitions[partition]

    def ready(self) -> bool:
        """Whether all run."""
        return all(state is LaneState.RUNNING for state in self.states.values())

    def status(self) -> list[LaneStatus]:
        """Return a status of each."""
        return [
            LaneStatus(partition, state, 7, self.end_offset, self._partitions[partition].row_count(), 0, 0)
            for partition, state in self.states.items()
        ]


class Node:
    """A worker; what it knows of itself and of the others may be changed."""

    def __init__(self, settings: Settings, engine: Engine | None, routes: Mapping[int, str]) -> None:
        self.settings = settings
        self.topic_names: Topics = topics_for(settings.topic_prefix, settings.app_id)
        self.engine = engine
        self.failure: EngineError | None = None
        self.routes = routes
        self.idle: list[str] = []
        self.asked: list[tuple[int, Action]] = []
        self.asking: Ask = self._note

    @property
    def workers(self) -> list[str]:
        """All that own something, and those that are `idle`."""
        return [*self.routes.values(), *self.idle]

    async def ask(self, actions: Sequence[tuple[int, Action]]) -> None:
        """Ask for actions: they are noted, unless `asking` was set to something else."""
        await self.asking(actions)

    async def _note(self, actions: Sequence[tuple[int, Action]]) -> None:
        self.asked += actions


class Answer(NamedTuple):
    """An answer over HTTP; `json` is None where there is none."""

    status: int
    json: Any
    headers: Mapping[str, str]


class Cluster:
    """Some workers that share the partitions between them: partition n belongs to worker n modulo their number."""

    def __init__(self, client: aiohttp.ClientSession, partitions: Sequence[PartitionState]) -> None:
        self.partitions = partitions
        self.nodes: list[Node] = []
        self.runners: list[web.AppRunner] = []
        self.urls: list[str] = []
        self.client = client

    async def get(self, path: str, worker: int = 0, method: str = "GET", **headers: str) -> Answer:
        """Ask a worker; `path` is sent as it is."""
        url = URL(self.urls[worker] + path, encoded=True)
        async with self.client.request(method, url, headers=headers) as response:
            body = await response.read()
            return Answer(response.status, json.loads(body) if body else None, response.headers)


@asynccontextmanager
async def cluster(
    events: Iterable[Mapping[str, Any]] = (), workers: int = 2, seconds: float = 5.0, **settings: Any
) -> AsyncIterator[Cluster]:
    """Run workers over the partitions as these events leave them; they wait `seconds` for each other."""
    # A connection of its own for every request, so that none is kept that was closed by the other side.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as client:
        running = Cluster(client, partitions_of(events))
        routes: dict[int, str] = {}
        try:
            for number in range(workers):
                owned = range(number, PARTITIONS, workers)
                node = Node(Settings(partitions=PARTITIONS, **settings), Engine(running.partitions, owned), routes)
                url = await serve(running, node, seconds)
                routes |= dict.fromkeys(owned, url)
                running.nodes.append(node)
            yield running
        finally:
            for runner in running.runners:
                await runner.cleanup()


async def serve(running: Cluster, node: Node, seconds: float) -> str:
    """Start the web server of a worker as Faust does; returns its address."""
    web_app = web.Application()
    runner = web.AppRunner(web_app, **SERVER)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    add_web(web_app, node, url, node.ask, Metrics(), seconds)
    running.runners.append(runner)
    running.urls.append(url)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return url


class Program:
    """A web server that is no worker, an async context manager that gives its address.

    `status` None: it takes every question, which sets `asked`, and never answers.
    """

    def __init__(self, status: int | None, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.asked = asyncio.Event()
        self._status = status
        self._body = body
        self._headers = headers
        web_app = web.Application()
        web_app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(web_app, shutdown_timeout=0.1)

    async def __aenter__(self) -> str:
        port = free_port()
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        return f"http://127.0.0.1:{port}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, _request: web.Request) -> web.Response:
        self.asked.set()
        if self._status is None:
            await asyncio.Event().wait()
        return web.Response(status=self._status or 200, body=self._body, headers=self._headers)
