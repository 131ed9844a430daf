"""`faust -A app show`: one row of a table. Only the command line."""

from collections.abc import Callable, Iterable
from typing import Any

import click
import faust
from faust.cli import argument, option

from app.commands._command import Command
from app.commands._state import TABLE, OpenState, print_rows, read_rows
from app.topics import ORDERS_TABLE, partition_of
from app.views import VIEWS, can_be_id
from models.aggregates import revenue
from models.errors import shown
from models.keys import SEPARATOR, join_key
from models.order import order_key

UNKNOWN = 1

OPTIONS = (
    TABLE,
    argument("key", metavar="KEY"),
    option("--customer-id", metavar="ID", help="Whose order; without it, every order of that id is printed."),
)


def register(app: faust.App, open_state: OpenState) -> None:
    """Add the command to `app`: it reads the state that `open_state` opens."""

    @app.command(*OPTIONS, base=Command)
    async def show(self: Any, table: str, key: str, customer_id: str | None) -> int:
        """Print one row of a table as JSON, as it looks over HTTP.

        \b
        TABLE      KEY
        orders     an order's id (of several customers: one line each; or say --customer-id)
        customers  a customer's id
        products   a product's sku
        revenue    currency/minute, in UTC
        outcomes   accepted, duplicate, forwarded or dead_letter:CAUSE

        Reads what is committed, from the broker itself: no worker has to run, and those that do are not disturbed.
        An id that begins with a dash goes after two dashes.

        \b
        Examples:
          faust -A app show customers c-17
          faust -A app show orders 4711 --customer-id c-17
          faust -A app show revenue GBP/2026-11-21T12:00
          faust -A app show products -- -odd-sku

        \b
        Exit codes: 0 printed; 1 there is no such row; 2 no such table;
        3, 4 or 7 the broker does not answer, has no state, or refuses; 130 Ctrl-C.
        """  # noqa: D301 - click leaves a paragraph as it is after this very character
        if customer_id is not None and table != ORDERS_TABLE:
            raise click.UsageError(f"--customer-id goes with {ORDERS_TABLE}.")
        wanted, customer = _wanted(table, key, customer_id)
        async with open_state() as state:
            rows = await read_rows(self, state, _partitions(customer, state.partitions), table, wanted)
        print_rows(self, table, rows)
        if not rows:
            of = "" if customer_id is None else f" of customer {shown(customer_id)}"
            self.complain(f"there is no {shown(key)}{of} in table {table}")
            return UNKNOWN
        return 0


def _partitions(customer: str | None, partitions: int) -> Iterable[int]:
    if customer is None:
        return range(partitions)
    return [partition_of(customer, partitions)] if can_be_id(customer) else []


def _wanted(table: str, key: str, customer_id: str | None) -> tuple[Callable[[str], bool], str | None]:
    """Return which keys of the table are meant, and the customer to whom they belong where only one can."""
    if table == ORDERS_TABLE and customer_id is None:
        ending = join_key("", key)
        return (lambda row_key: row_key.endswith(ending)), None
    if table == ORDERS_TABLE:
        exact = order_key(customer_id or "", key)
    elif table == revenue.AGGREGATE.name:
        exact = key.removesuffix(":00Z").replace("/", SEPARATOR, 1)  # "…T12:00" or, as printed, "…T12:00:00Z"
    else:
        exact = key
    customer_of = VIEWS[table].customer_of
    return exact.__eq__, None if customer_of is None else customer_of(exact)
