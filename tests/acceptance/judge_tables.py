"""Compares tables, as the `dump` command prints them, and the counts of outcomes with the oracle's."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator

from tests.acceptance.scene import PARTITIONS, Scene
from tests.oracle import Key, Oracle, Row, differences
from tests.workers import Worker

ROW_KEYS = {
    "orders": ("customer_id", "order_id"),
    "customers": ("customer_id",),
    "products": ("sku",),
    "revenue": ("currency", "start"),
}
DUMP_SECONDS = 600


def faults_of_tables(scene: Scene, oracle: Oracle, reader: Worker) -> list[str]:
    """Return everything that is wrong; tables only if the counts are right, as they take a process each."""
    faults = [f"outcomes {line}" for line in differences(_outcomes(scene), _plain(oracle.outcomes))]
    if not faults:
        faults += _different("orders", _dump(reader, "orders"), oracle.orders())
        for table, wanted in oracle.totals().items():
            faults += _different(table, _dump(reader, table), wanted.items())
        states: dict[Key, str] = {
            (f"{partition}-{offset}",): state for (partition, offset), state in oracle.letters.items()
        }
        faults += [f"letter {line}" for line in differences(_letters(reader), states)]
    return faults


def _different(table: str, found: Iterable[tuple[Key, Row]], wanted: Iterable[tuple[Key, Row]]) -> list[str]:
    """Return what is wrong with a table. Rows found are kept as text, in which they take little memory."""
    rows = {key: json.dumps(row, sort_keys=True) for key, row in found}
    faults = []
    for key, row in wanted:
        text = rows.pop(key, None)
        if text is None:
            faults.append(f"{table} {key}: missing, wanted {row}")
        elif text != json.dumps(row, sort_keys=True):
            faults.append(f"{table} {key}: found {text}, wanted {row}")
    return faults + [f"{table} {key}: not wanted, found {text}" for key, text in rows.items()]


def _dump(reader: Worker, table: str) -> Iterator[tuple[Key, Row]]:
    """Yield the rows that the `dump` command prints."""
    with tempfile.TemporaryFile() as output:
        result = reader.command("dump", table, seconds=DUMP_SECONDS, output=output)
        assert result.returncode == 0, f"dump {table} exited with {result.returncode}: {result.stderr.decode()}"
        output.seek(0)
        seen: set[Key] = set()
        for line in output:
            row = json.loads(line)
            key = tuple(row[name] for name in ROW_KEYS[table])
            assert key not in seen, f"dump {table} gives {key} twice"
            seen.add(key)
            if table != "revenue" or row["orders"] or float(row["gross"]) or float(row["refunded"]):
                yield key, row


def _letters(reader: Worker) -> dict[Key, str]:
    """Return the state of each letter, as the command lists them."""
    with tempfile.TemporaryFile() as output:
        result = reader.command("dead-letters", "list", "--all", "--json", seconds=DUMP_SECONDS, output=output)
        assert result.returncode == 0, f"dead-letters list exited with {result.returncode}: {result.stderr.decode()}"
        output.seek(0)
        letters = [json.loads(line) for line in output]
    return {(letter["id"],): letter["state"] for letter in letters}


def _outcomes(scene: Scene) -> dict[Key, int]:
    """Sum up the counts of all partitions, as they stand in the state."""
    sums: Counter[str] = Counter()
    for partition in range(PARTITIONS):
        for (table, outcome), count in scene.state.rows(partition).items():
            sums[outcome] += json.loads(count) if table == "outcomes" else 0
    return _plain(sums)


def _plain(counts: Counter[str]) -> dict[Key, int]:
    return {(outcome,): count for outcome, count in counts.items() if count}
