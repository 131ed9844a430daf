"""A step: what one batch of records changes. It is committed whole or not at all; until then nobody sees any of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol, cast

from msgspec import Struct

from app.engine.state import PartitionState, TableState
from app.engine.table import encode_row
from app.engine.turns import Turns

FLUSH_OUTPUTS = 256
"""Outputs are handed to the broker's batches in such numbers: thousands fall out of the processor's caches."""

DELETED: Any = object()
"""Stands for a row that a step deletes."""

Headers = Sequence[tuple[str, bytes | None]]


class Record(Protocol):
    """A record as a broker delivers it. `timestamp` in ms since 1970; `timestamp_type` 0 = create, 1 = log append."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def timestamp_type(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Headers: ...  # noqa: D102


class Output(Struct, gc=False):
    """A record that a step writes to a topic. `timestamp` in ms, None = now."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]] = []
    timestamp: int | None = None


class Changes:
    """The rows of one table as a step sees them: its own changes over the committed rows."""

    __slots__ = ("_committed", "deletes", "rows")

    def __init__(self, committed: TableState) -> None:
        self._committed = committed
        self.rows: dict[str, Any] = {}
        self.deletes = False

    def get(self, key: str) -> Any:
        """Return the row of `key` as this step has it, or None."""
        row = self.rows.get(key)
        if row is None:
            return self._committed.get(key)
        return None if row is DELETED else row

    def due(self, now: float, most: int) -> list[str]:
        """Return the keys of committed rows about which something was to be done by `now` (seconds since 1970).

        The longest due come first. Those that this step has changed already are left out.
        """
        return [key for key in self._committed.due(now, most + len(self.rows)) if key not in self.rows][:most]

    @property
    def committed_bytes(self) -> int:
        """How long the committed rows are together, encoded; only of tables with `due_of`."""
        return self._committed.bytes

    def oldest(self, most: int) -> list[str]:
        """Return the keys of committed rows that came first, without those that this step has changed already."""
        return [key for key in islice(self._committed.encoded, most) if key not in self.rows]

    def put(self, key: str, row: Any) -> None:
        """Set the row of `key`; `row` must not be mutated afterwards."""
        self.rows[key] = row

    def update(self, rows: Mapping[str, Any]) -> None:
        """Set many rows, as `put` does."""
        self.rows.update(rows)

    def delete(self, key: str) -> None:
        """Delete the row of `key`, if there is one."""
        self.rows[key] = DELETED
        self.deletes = True

    def encoded(self) -> list[tuple[str, bytes | None]]:
        """Return the changed rows as bytes; None: deleted."""
        if not self.deletes:
            return [(key, encode_row(row)) for key, row in self.rows.items()]
        return [(key, None if row is DELETED else encode_row(row)) for key, row in self.rows.items()]

    def publish(self, encoded: Sequence[tuple[str, bytes | None]]) -> None:
        """Put the changes among the committed rows."""
        if self.deletes:
            for key, row in encoded:
                if row is None:
                    del self.rows[key]
                    self._committed.load(key, None)
            encoded = [(key, row) for key, row in encoded if row is not None]
        self._committed.apply(self.rows, cast("Sequence[tuple[str, bytes]]", encoded))


class Step:
    """One batch of a partition and everything that follows from it.

    `records` come from offsets `first_offset` … `next_offset - 1` (with gaps where the broker has some); `next_offset`
    is where the partition goes on once the step is committed. When none came for a moment there is a step without
    records, for what is due by time. `outputs` are those not handed to `write` yet; `counts` says what came of the
    records, in words of the application's own, for those who watch.
    """

    __slots__ = (
        "_changes",
        "_sent",
        "_state",
        "_turns",
        "_write",
        "counts",
        "first_offset",
        "next_offset",
        "outputs",
        "partition",
        "records",
    )

    def __init__(
        self,
        partition: int,
        records: Sequence[Record],
        first_offset: int,
        next_offset: int,
        state: PartitionState,
        write: Callable[[Sequence[Output]], None] | None = None,
        turns: Turns | None = None,
    ) -> None:
        self.partition = partition
        self.records = records
        self.first_offset = first_offset
        self.next_offset = next_offset
        self.outputs: list[Output] = []
        self.counts: Mapping[tuple[str, ...], int] = {}
        self._state = state
        self._write = write
        self._sent = False
        self._turns = turns or Turns()
        self._changes: dict[str, Changes] = {}

    async def turn(self) -> None:
        """Wait until this partition may compute on. To be awaited before each part of a few ms."""
        await self._turns.turn()

    def table(self, name: str) -> Changes:
        """Return the rows of table `name` for reading and changing within this step."""
        changes = self._changes.get(name)
        if changes is None:
            changes = self._changes[name] = Changes(self._state.tables[name])
        return changes

    def send(self, output: Output) -> None:
        """Add a record to be written, in the same transaction, when the step is committed."""
        self.send_all((output,))

    def send_all(self, outputs: Iterable[Output]) -> None:
        """Add records as `send` does."""
        self._sent = True
        self.outputs.extend(outputs)
        if self._write is not None and len(self.outputs) >= FLUSH_OUTPUTS:
            self._write(self.outputs)
            self.outputs.clear()

    @property
    def empty(self) -> bool:
        """Whether it has no records and has led to nothing."""
        return not (self.records or self._sent or any(changes.rows for changes in self._changes.values()))

    def encoded(self) -> "EncodedRows":
        """Return the changed rows as bytes, per table: `[(table, [(key, bytes), …]), …]`; None: deleted."""
        return [(name, changes.encoded()) for name, changes in self._changes.items() if changes.rows]

    def publish(self, encoded: "EncodedRows") -> None:
        """Make the rows visible to readers. To be called once the broker has confirmed the commit, never earlier."""
        for name, rows in encoded:
            self._changes[name].publish(rows)


EncodedRows = Sequence[tuple[str, Sequence[tuple[str, bytes | None]]]]
