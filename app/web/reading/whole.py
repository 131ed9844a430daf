"""Rows of a table from whoever owns the partitions that they are in: this worker, others, or several at once.

An answer is whole or there is none: a sum that lacks a partition would be wrong, and nobody could tell.
"""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from app.engine.errors import NotReady
from app.topics import partition_of
from app.views import TableView
from app.web.errors import not_ready
from app.web.node import Node, OwnPartitions
from app.web.reading.gathering import gather
from app.web.reading.peers import NoAnswer, Peers
from app.web.reading.queries import SLICE, Query

Rows = dict[str, Any]
"""Key → decoded row."""


class Reading:
    """Reads on behalf of clients; `own_url` is where other workers reach this one."""

    def __init__(self, node: Node, own_url: str, peers: Peers, seconds: float) -> None:
        self._node = node
        self._own_url = own_url
        self._peers = peers
        self._seconds = seconds

    async def of_customer(self, query: Query, customer_id: str) -> Rows:
        """Return the rows that a query finds in the partition of a customer. Raises `ApiError` (503)."""
        return await self._read(query, [partition_of(customer_id, self._node.settings.partitions)])

    async def of_all(self, query: Query) -> Rows:
        """Return the rows that a query finds, added up over all partitions. Raises `ApiError` (503)."""
        return await self._read(query, range(self._node.settings.partitions))

    async def _read(self, query: Query, partitions: Iterable[int]) -> Rows:
        asked = defaultdict(list)
        reasons: dict[int, str] = {}
        for partition in partitions:
            try:
                asked[self._owner(partition)].append(partition)
            except NoAnswer as none:
                reasons[partition] = str(none)
        if reasons:
            raise not_ready(_sentence(reasons))
        answers = await gather({url: self._ask(url, query, owned) for url, owned in asked.items()}, self._seconds)
        rows: Rows = {}
        for url, answer in answers.items():
            if isinstance(answer, NoAnswer):
                reasons |= dict.fromkeys(asked[url], str(answer))
            elif not reasons:
                await _add_all(query.view, rows, answer)
        if reasons:
            raise not_ready(_sentence(reasons))
        return rows

    def _owner(self, partition: int) -> str:
        engine = self._node.engine
        if engine is not None and engine.owns(partition):
            return self._own_url
        url = self._node.routes.get(partition)
        if url is None:
            raise NoAnswer("no worker owns it yet")
        if url == self._own_url:
            raise NoAnswer("it is on its way to another worker, or one has the same address (ORDERS_WEB_URL)")
        return url

    def _ask(self, url: str, query: Query, partitions: list[int]) -> Coroutine[Any, Any, Rows]:
        return self._own_rows(query, partitions) if url == self._own_url else self._rows_of(url, query, partitions)

    async def _own_rows(self, query: Query, partitions: list[int]) -> Rows:
        try:
            return await own_rows(self._node.engine, query, partitions)
        except NotReady as error:
            raise NoAnswer(f"{error} at {self._own_url}") from error

    async def _rows_of(self, url: str, query: Query, partitions: list[int]) -> Rows:
        decode = query.view.decode
        rows: Rows = {}
        async for some in self._peers.rows(url, query, partitions):
            try:
                rows.update((key, decode(row)) for key, row in some)
            except ValueError as error:
                raise NoAnswer(f"{url} answered with rows of another version") from error
            await asyncio.sleep(0)
        return rows


async def own_rows(engine: OwnPartitions | None, query: Query, partitions: Iterable[int]) -> Rows:
    """Return what a query finds in partitions of this worker, added up. Raises `NotReady` if it lacks one of them."""
    rows: Rows = {}
    add = query.view.add
    for partition in partitions:
        if engine is None:
            raise NotReady(partition, "is not owned by this worker")
        async for key, row in query.select(engine.rows(partition).tables[query.table]):
            add(rows, key, row)
    return rows


async def _add_all(view: TableView, rows: Rows, parts: Rows) -> None:
    for count, (key, part) in enumerate(parts.items(), 1):
        view.add(rows, key, part)
        if not count % SLICE:
            await asyncio.sleep(0)


def _sentence(reasons: Mapping[int, str]) -> str:
    """Return which partitions cannot be read, and why: "partitions 1, 3: no answer …; partition 2 is loading …"."""
    partitions = defaultdict(list)
    for partition, reason in sorted(reasons.items()):
        partitions[reason].append(str(partition))
    return "; ".join(
        reason
        if reason.startswith("partition ")  # an owner says which of those that it was asked for
        else f"partition{'s' if len(those) > 1 else ''} {', '.join(those)}: {reason}"
        for reason, those in partitions.items()
    )
