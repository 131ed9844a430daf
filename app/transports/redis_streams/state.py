"""Reads the rows of one partition from its hash, some at a time."""

from collections.abc import AsyncIterator

from app.transports.redis_streams.connection import Client

SCAN_ROWS = 5_000

Rows = list[tuple[str, str, bytes]]
"""(table, key, encoded row) each."""


async def scan_rows(client: Client, state: str) -> AsyncIterator[Rows]:
    """Yield all rows of the hash `state`; one may come twice while others write. Raises the client's errors."""
    cursor = None
    while cursor != 0:
        cursor, found = await client.hscan(state, cursor or 0, count=SCAN_ROWS)
        rows = []
        for field, row in found.items():
            table, _, key = field.decode().partition("/")
            rows.append((table, key, row))
        yield rows
