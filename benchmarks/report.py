"""Results as aligned tables on standard output, and all of them as data in a file."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Spread

Cell = str | float | Spread | None


class Table:
    """One table. `columns` maps the name of each column of numbers to how many decimals it has."""

    def __init__(self, title: str, columns: Mapping[str, int], notes: Sequence[str] = ()) -> None:
        self.title = title
        self.notes = list(notes)
        self._columns = columns
        self._rows: list[tuple[str, Sequence[Cell]]] = []

    def add(self, name: str, *cells: Cell) -> None:
        """Add a row."""
        self._rows.append((name, cells))

    def lines(self) -> list[str]:
        """Return it as text, columns aligned."""
        header = ["", *self._columns]
        texts = [
            [name, *(_text(cell, digits) for cell, digits in zip(cells, self._columns.values(), strict=True))]
            for name, cells in self._rows
        ]
        widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
        rows = [
            "  " + "  ".join(cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(pairs))
            for pairs in (list(zip(row, widths, strict=True)) for row in (header, *texts))
        ]
        return ["", self.title, *(row.rstrip() for row in rows), *(f"  ({note})" for note in self.notes)]

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        rows = [
            {"": name} | {column: _data(cell) for column, cell in zip(self._columns, cells, strict=True)}
            for name, cells in self._rows
        ]
        return {"title": self.title, "rows": rows, "notes": self.notes}


class Report:
    """All tables of a run. Each is printed as soon as it is there, and `file`, if given, is written anew with it."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._machine: dict[str, str] = {}
        self._tables: list[dict[str, Any]] = []

    def say(self, facts: Mapping[str, str]) -> None:
        """Add facts of the machine and of versions."""
        self._machine |= facts
        width = max(map(len, facts))
        for name, fact in facts.items():
            print(f"{name.ljust(width)}  {fact}")
        sys.stdout.flush()

    def add(self, table: Table) -> None:
        """Print a table and keep it."""
        print("\n".join(table.lines()), flush=True)
        self._tables.append(table.data())
        if self._file is not None:
            self._file.write_text(json.dumps({"machine": self._machine, "tables": self._tables}, indent=1) + "\n")


def progress(text: str) -> None:
    """Say on standard error what goes on."""
    print(text, file=sys.stderr, flush=True)


def _text(cell: Cell, digits: int) -> str:
    match cell:
        case None:
            return "–"
        case str():
            return cell
        case Spread():
            middle = f"{cell.median:,.{digits}f}"
            return middle if cell.low == cell.high else f"{middle} ({cell.low:,.{digits}f}–{cell.high:,.{digits}f})"
        case _:
            return f"{cell:,.{digits}f}"


def _data(cell: Cell) -> Any:
    return cell._asdict() if isinstance(cell, Spread) else cell
