"""What the commands that read state have in common: which rows count, and JSON lines. Knows no broker."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import click
import orjson
from faust.cli import argument

from app.commands._command import Command
from app.transports.contract import Snapshot
from app.views import VIEWS

LINES = 1_000
"""Lines printed at once."""

TABLE = argument("table", type=click.Choice(list(VIEWS)), metavar="TABLE")


OpenState = Callable[[], AbstractAsyncContextManager[Snapshot]]


async def read_rows(
    command: Command, state: Snapshot, partitions: Iterable[int], table: str, wanted: Callable[[str], bool]
) -> Mapping[str, Any]:
    """Return the rows of a table whose keys are `wanted`, added up over partitions. Raises KeyboardInterrupt."""
    view = VIEWS[table]
    rows: dict[str, Any] = {}
    for partition in partitions:
        latest: dict[str, bytes | None] = {}
        async for chunk in state.read(partition):
            if command.interrupted.is_set():
                raise KeyboardInterrupt
            latest.update((key, row) for name, key, row in chunk if name == table and wanted(key))
            await asyncio.sleep(0)
        for key, row in latest.items():
            if row is not None:
                view.add(rows, key, view.decode(row))
    return rows


def print_rows(command: Command, table: str, rows: Mapping[str, Any]) -> None:
    """Print rows in the order of their keys, one JSON object a line, as readers get them over HTTP."""
    view = VIEWS[table].view
    keys = sorted(rows)
    for start in range(0, len(keys), LINES):
        lines = [orjson.dumps(view(key, rows[key])).decode() for key in keys[start : start + LINES]]
        command.say("\n".join(lines))
