"""Faust tables over the engine: named, listed and readable as Faust users expect, but written by steps alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from faust.tables import Table
from faust.tables.manager import TableManager

from app.engine.errors import NotReady


class OwnedRows(Mapping[str, Any]):
    """The committed rows of one table in the partitions that this worker owns and has loaded."""

    def __init__(self, app: Any, table: str) -> None:
        self._app = app
        self._table = table

    def _parts(self) -> Iterator[Any]:
        engine = self._app.engine
        for partition in sorted(engine.assigned) if engine is not None else ():
            try:
                yield engine.rows(partition).tables[self._table]
            except NotReady:
                continue

    def __getitem__(self, key: str) -> Any:
        for part in self._parts():
            row = part.get(key)
            if row is not None:
                return row
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        for part in self._parts():
            yield from list(part.encoded)

    def __len__(self) -> int:
        return sum(len(part.encoded) for part in self._parts())


class StepTable(Table[str, Any]):
    """A Faust table that reads the engine's rows. Assigning to it raises: rows change by steps."""

    @property
    def data(self) -> Any:  # type: ignore[override]
        """The rows of this worker."""
        return OwnedRows(self.app, self.name)

    async def on_start(self) -> None:
        """Do nothing: there is no changelog to declare."""

    async def on_rebalance(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: lanes load their own rows."""

    def on_key_get(self, key: Any) -> None:
        """Do nothing."""

    def on_key_set(self, key: Any, value: Any) -> None:
        """Refuse."""
        raise TypeError(f"table {self.name} is changed by steps only: step.table({self.name!r}).put(key, row)")

    def on_key_del(self, key: Any) -> None:
        """Refuse."""
        raise TypeError(f"table {self.name} is changed by steps only")


class StepTableManager(TableManager):
    """Faust's list of tables, without changelogs and without a recovery of its own."""

    def add(self, table: Any) -> Any:
        """Register a table; raises ValueError if its name is taken."""
        if table.name in self:
            raise ValueError(f"Table with name {table.name!r} already exists")
        self[table.name] = table
        return table

    async def on_start(self) -> None:
        """Let the conductor go on at once."""
        self._tables_finalized.set()
        self._tables_registered.set()
        self._recovery_started.set()

    async def on_stop(self) -> None:
        """Do nothing."""

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Do nothing: lanes drop their own rows."""

    async def on_rebalance(self, assigned: Any, revoked: Any, newly_assigned: Any, generation_id: int = 0) -> None:
        """Do nothing: lanes load by themselves."""
        self.on_actives_ready()

    async def wait_until_recovery_completed(self) -> bool:
        """Return at once: a worker serves what is loaded while the rest is still loading."""
        return False
