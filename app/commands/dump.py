"""`faust -A app dump`: all rows of a table. Only the command line."""

from typing import Any

import faust

from app.commands._command import Command
from app.commands._state import TABLE, OpenState, print_rows, read_rows
from app.views import VIEWS


def register(app: faust.App, open_state: OpenState) -> None:
    """Add the command to `app`: it reads the state that `open_state` opens."""

    @app.command(TABLE, base=Command)
    async def dump(self: Any, table: str) -> None:
        """Print all rows of a table, one JSON object a line.

        TABLE is orders, customers, products, revenue or outcomes (how many records were accepted, duplicates,
        forwarded, or dead letters by cause). Objects look as they do over HTTP; products, revenue and outcomes are
        summed over all partitions. Reads what is committed, from the broker itself: no worker has to run, and those
        that do are not disturbed.

        \b
        Examples:
          faust -A app dump customers
          faust -A app dump orders | jq -c 'select(.status == "paid")'

        \b
        Exit codes: 0 all printed; 2 no such table; 3, 4 or 7 the broker does not answer, has no state, or refuses;
        130 Ctrl-C.
        """  # noqa: D301 - click leaves a paragraph as it is after this very character
        async with open_state() as state:
            everywhere = range(state.partitions)
            # The rows of a customer are in one partition only, so one partition after the other will do.
            parts = [[p] for p in everywhere] if VIEWS[table].customer_of is not None else [everywhere]
            for part in parts:
                print_rows(self, table, await read_rows(self, state, part, table, lambda _key: True))
