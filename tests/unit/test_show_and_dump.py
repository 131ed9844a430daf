"""The show and dump commands: what they print and exit with, against states that behave in every way."""

import asyncio
import io
import json
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Self

import faust
import pytest
from faust.cli.base import call_command, cli

from app.commands import dump, show
from app.engine.errors import Unavailable
from app.topics import ORDERS_TABLE, OUTCOMES_TABLE, partition_of
from tests.unit.web_kit import PARTITIONS, partitions_of

Rows = list[tuple[str, str, bytes | None]]


class _FakeState:
    """The state of four partitions. `read_partitions` says which were read, and how often."""

    def __init__(self, partitions: Sequence[Rows]) -> None:
        self.partitions = len(partitions)
        self.read_partitions: list[int] = []
        self.closed = False
        self._rows = partitions

    async def read(self, partition: int) -> AsyncIterator[Rows]:
        self.read_partitions.append(partition)
        rows = self._rows[partition]
        for start in range(0, len(rows), 3):
            yield rows[start : start + 3]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True


class _Endless(_FakeState):
    """A state that takes for ever to read; `reading` is set once it is being read."""

    def __init__(self) -> None:
        super().__init__([[]])
        self.reading = threading.Event()

    async def read(self, partition: int) -> AsyncIterator[Rows]:
        while True:
            yield []
            self.reading.set()


class _Unreachable(_FakeState):
    """A broker that is away."""

    async def __aenter__(self) -> Self:
        raise Unavailable("no Kafka at 127.0.0.1:9092 (ORDERS_BROKER)\nwithin 10 s")


def _created(order: str, customer: str) -> dict[str, Any]:
    return {
        "event_type": "order.created",
        "event_id": "1",
        "timestamp": "2026-11-21T12:00:30Z",
        "order_id": order,
        "customer_id": customer,
        "total_amount": "1.50",
        "currency": "GBP",
        "items": [{"sku": "mug", "qty": 1, "price": "1.50"}],
    }


CUSTOMERS = ("c5", "c2", "c4", "c9")  # one in each partition
ORDERS = [*(_created("1", customer) for customer in CUSTOMERS), _created("2/3", "c2"), _created("11", "c2")]


@pytest.fixture
def state() -> _FakeState:
    """The state after these orders, old versions of rows and deleted ones among them."""
    rows: list[Rows] = []
    for partition in partitions_of(ORDERS):
        stored: Rows = [(t.name, key, row) for t in partition for key, row in t.encoded.items()]
        old: Rows = [(table, key, b"[]") for table, key, _ in stored]
        gone: Rows = [("customers", "gone", b"[1]"), ("customers", "gone", None)]
        rows.append([*old, *gone, ("a table of another version", "c5", b"{}"), *stored])
    return _FakeState(rows)


Run = Callable[..., tuple[int, list[Any], str]]


@pytest.fixture
def run() -> Iterator[Run]:
    """Run a command against a state: (exit code, printed objects, standard error)."""

    def call(state: _FakeState, command: str, *args: str) -> tuple[int, list[Any], str]:
        app = faust.App("show-test", broker="memory://", autodiscover=False)
        show.register(app, lambda: state)
        dump.register(app, lambda: state)
        out, err = io.StringIO(), io.StringIO()
        code, _, _ = call_command(command, list(args), app=app, stdout=out, stderr=err)
        assert isinstance(code, int)
        return code, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()

    yield call
    cli.commands.pop("show", None)
    cli.commands.pop("dump", None)
    asyncio.set_event_loop(None)


PRODUCT = {"sku": "mug", "orders": 6, "units_sold": 6, "units_cancelled": 0, "money": {"GBP": {"revenue": "9.00"}}}
MINUTE = {
    "currency": "GBP",
    "start": "2026-11-21T12:00:00Z",
    "orders": 6,
    "gross": "9.00",
    "refunded": "0.00",
    "net": "9.00",
}


def test_a_customer_is_read_from_its_partition_alone(run: Run, state: _FakeState) -> None:
    """In the shape that HTTP gives."""
    code, printed, err = run(state, "show", "customers", "c4")
    assert (code, err) == (0, "")
    assert printed == [
        {
            "customer_id": "c4",
            "order_count": 1,
            "open_orders": 1,
            "first_order_at": "2026-11-21T12:00:30Z",
            "last_order_at": "2026-11-21T12:00:30Z",
            "money": {"GBP": {"gross": "1.50", "refunded": "0.00", "net": "1.50"}},
        }
    ]
    assert state.read_partitions == [partition_of("c4", PARTITIONS)]
    assert state.closed


def test_an_order_is_found_by_its_id_alone(run: Run, state: _FakeState) -> None:
    """Whoever's it is; of several customers, all are printed."""
    code, printed, _ = run(state, "show", "orders", "2/3")
    assert (code, [(o["customer_id"], o["order_id"]) for o in printed]) == (0, [("c2", "2/3")])
    code, printed, _ = run(state, "show", "orders", "1")
    assert (code, [(o["customer_id"], o["order_id"]) for o in printed]) == (0, [(c, "1") for c in sorted(CUSTOMERS)])


def test_an_order_is_found_by_its_customer_too(run: Run, state: _FakeState) -> None:
    """Reading one partition."""
    code, printed, _ = run(state, "show", "orders", "1", "--customer-id", "c9")
    assert (code, [(o["customer_id"], o["order_id"]) for o in printed]) == (0, [("c9", "1")])
    assert state.read_partitions == [partition_of("c9", PARTITIONS)]


@pytest.mark.parametrize(
    ("table", "key", "row"),
    [
        ("products", "mug", PRODUCT),
        ("revenue", "GBP/2026-11-21T12:00", MINUTE),
        ("revenue", "GBP/2026-11-21T12:00:00Z", MINUTE),
        (OUTCOMES_TABLE, "accepted", {"outcome": "accepted", "count": 6}),
    ],
)
def test_what_is_spread_over_partitions_is_summed(
    run: Run, state: _FakeState, table: str, key: str, row: dict[str, Any]
) -> None:
    """One line, of all partitions."""
    assert run(state, "show", table, key) == (0, [row], "")
    assert state.read_partitions == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "arguments",
    [
        ("orders", "3"),
        ("orders", "c2\x1f1"),
        ("orders", "1", "--customer-id", "c1"),
        ("orders", "1", "--customer-id", ""),
        ("orders", ""),
        ("customers", "c1"),
        ("customers", "gone"),
        ("customers", "\udcff"),
        ("customers", ""),
        ("products", "c2"),
        ("revenue", "GBP"),
        ("revenue", "GBP/2026-11-21T12:01"),
        (OUTCOMES_TABLE, "forwarded"),
    ],
)
def test_an_unknown_key_is_one_line_and_exit_code_1(run: Run, state: _FakeState, arguments: tuple[str, ...]) -> None:
    """Nothing on standard output; what was looked for, and where, on standard error."""
    code, printed, err = run(state, "show", *arguments)
    assert (code, printed, err.count("\n")) == (1, [], 1)
    assert err.startswith("show: error: there is no ")
    assert f"in table {arguments[0]}" in err


@pytest.mark.parametrize("arguments", [("show", "shops", "1"), ("dump", "shops")])
def test_an_unknown_table_is_exit_code_2_and_names_the_known_ones(
    run: Run, state: _FakeState, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped command, like any other."""
    code, printed, _ = run(state, *arguments)
    assert (code, printed, state.read_partitions) == (2, [], [])
    assert (
        "'orders', 'customers', 'products', 'revenue', 'dead_letters', 'held_orders', 'outcomes'"
        in capsys.readouterr().err
    )


def test_a_customer_makes_sense_for_orders_only(run: Run, state: _FakeState) -> None:
    """Else it would be ignored."""
    code, _, err = run(state, "show", "products", "mug", "--customer-id", "c2")
    assert code == 2
    assert "--customer-id goes with orders" in err


def test_a_dump_has_every_row_once(run: Run, state: _FakeState) -> None:
    """The last version of each, none that was deleted, summed where partitions share a row, in order of keys."""
    code, printed, err = run(state, "dump", ORDERS_TABLE)
    assert (code, err) == (0, "")
    keys = [(order["customer_id"], order["order_id"]) for order in printed]
    assert sorted(keys) == sorted((order["customer_id"], order["order_id"]) for order in ORDERS)
    assert [key for key in keys if key[0] == "c2"] == [("c2", "1"), ("c2", "11"), ("c2", "2/3")]

    _, printed, _ = run(state, "dump", "customers")
    assert {customer["customer_id"]: customer["order_count"] for customer in printed} == {
        "c5": 1,
        "c2": 3,
        "c4": 1,
        "c9": 1,
    }
    assert run(state, "dump", "products") == (0, [PRODUCT], "")
    assert run(state, "dump", "revenue") == (0, [MINUTE], "")
    assert run(state, "dump", OUTCOMES_TABLE) == (0, [{"outcome": "accepted", "count": 6}], "")


def test_an_empty_table_is_no_error(run: Run) -> None:
    """Nothing has come in yet."""
    assert run(_FakeState([[], []]), "dump", "orders") == (0, [], "")


@pytest.mark.parametrize("arguments", [("show", "orders", "1"), ("dump", "orders")])
def test_a_broker_that_is_away_is_one_line(run: Run, arguments: tuple[str, ...]) -> None:
    """With the exit code that a worker has for it."""
    code, printed, err = run(_Unreachable([]), *arguments)
    assert (code, printed) == (3, [])
    assert err == f"{arguments[0]}: error: no Kafka at 127.0.0.1:9092 (ORDERS_BROKER) within 10 s\n"


@pytest.mark.parametrize("arguments", [("show", "orders", "1"), ("dump", "orders")])
def test_ctrl_c_ends_a_long_read(run: Run, arguments: tuple[str, ...]) -> None:
    """With the exit code that a shell expects."""
    state = _Endless()

    def interrupt() -> None:
        assert state.reading.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert run(state, *arguments)[0] == 130
    thread.join()
