"""Reads the committed state of an application from its hashes, without claiming anything: workers never notice.

Every row is as some step left it. While workers write, rows read later may be of later steps than those read earlier.
"""

from collections.abc import AsyncIterator
from typing import Self

from app.engine.errors import Inconsistent
from app.settings import Settings
from app.topics import topics_for
from app.transports.contract import StateRows
from app.transports.redis_streams.connection import Client, RedisServer
from app.transports.redis_streams.failures import translated
from app.transports.redis_streams.keys import keys_for
from app.transports.redis_streams.provision import when_ready
from app.transports.redis_streams.state import scan_rows


class Snapshot:
    """The state of an application; an async context manager. `partitions` says how many there are."""

    def __init__(self, server: RedisServer, settings: Settings) -> None:
        self.partitions = 0
        self._server = server
        self._keys = keys_for(settings)
        self._topic = topics_for(settings.topic_prefix, settings.app_id).state
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        count = await when_ready(self._server, self._keys, self._count)
        if count is None:
            raise Inconsistent(
                f"there is no state of {self._keys.app_id}: no worker has run with these settings yet "
                "(ORDERS_BROKER, ORDERS_APP_ID, ORDERS_TOPIC_PREFIX)"
            )
        self.partitions = int(count)
        self._client = self._server.client()
        return self

    async def _count(self, client: Client) -> bytes | None:
        with translated(f"looking for the state of {self._keys.app_id}"):
            count: bytes | None = await client.hget(self._keys.topic(self._topic), "partitions")
        return count

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def read(self, partition: int) -> AsyncIterator[StateRows]:
        """Yield all rows of a partition, some at a time; a row may come twice: the last one counts."""
        assert self._client is not None, "enter it first"
        with translated(f"reading the state of partition {partition}"):
            async for rows in scan_rows(self._client, self._keys.state(partition)):
                yield rows
