"""The models and the oracle share no code: over thousands of records they must say the same."""

from collections import Counter
from typing import Any

import pytest

from app.engine.table import encode_row, row_decoder
from app.sources.samples import sample_events
from models.aggregates import AGGREGATES
from models.columns import parse_events
from models.errors import EventError
from models.order import DUPLICATE, Change, Order, apply, order_view
from tests.oracle import Key, LogRecord, expect


def fold(values: list[bytes]) -> tuple[dict[str, dict[Key, Any]], dict[tuple[int, int], str], Counter[str]]:
    """Run records through the models as one partition would, without engine or broker."""
    orders: dict[Key, Order] = {}
    rows: dict[str, dict[str, Any]] = {aggregate.name: {} for aggregate in AGGREGATES}
    dead: dict[tuple[int, int], str] = {}
    outcomes: Counter[str] = Counter()
    for offset, event in enumerate(parse_events(values)):
        try:
            if isinstance(event, EventError):
                raise event
            key = (event.customer_id, event.order_id)
            change = apply(orders.get(key), event)
        except EventError as error:
            dead[0, offset] = error.cause
            outcomes[f"dead_letter:{error.cause}"] += 1
            continue
        if change is DUPLICATE:
            outcomes["duplicate"] += 1
            continue
        assert isinstance(change, Change)
        outcomes["accepted"] += 1
        orders[key] = change.after
        for aggregate in AGGREGATES:
            table = rows[aggregate.name]
            for row_key, row in aggregate.contributions([change]).items():
                table[row_key] = aggregate.merge(table[row_key], row) if row_key in table else row
    tables: dict[str, dict[Key, Any]] = {
        "orders": {(customer, order): order_view(customer, order, row) for (customer, order), row in orders.items()}
    }
    for aggregate in AGGREGATES:
        tables[aggregate.name] = {
            tuple(key.split("\x1f")): aggregate.view(key, row_decoder(aggregate.row)(encode_row(row)))
            for key, row in rows[aggregate.name].items()
        }
    tables["revenue"] = {
        (currency, view["start"]): {"currency": currency} | view for (currency, _), view in tables["revenue"].items()
    }
    return tables, dead, outcomes


@pytest.mark.parametrize("seed", [1, 2])
def test_the_models_agree_with_the_oracle(seed: int) -> None:
    """Rows, causes and counts of 10,000 records, a tenth of them broken."""
    values = list(sample_events(10_000, seed, customers=100, invalid=0.1, duplicates=0.05))
    expected = expect([LogRecord(0, offset, None, value) for offset, value in enumerate(values)], "orders", 1)
    tables, dead, outcomes = fold(values)
    causes = {at: (dead.get(at), cause) for at, cause in expected.dead_letters.items() if dead.get(at) != cause}
    assert not causes, [(values[at[1]][:200], found) for at, found in causes.items()][:10]
    assert dead == expected.dead_letters
    assert tables == expected.tables
    assert outcomes == expected.outcomes


def test_every_valid_sample_event_is_accepted() -> None:
    """Samples without faults hold nothing that would be refused, and with faults exactly those are."""
    clean = expect([LogRecord(0, n, None, v) for n, v in enumerate(sample_events(20_000))], "orders", 1)
    assert clean.outcomes == {"accepted": 20_000}
    values = list(sample_events(20_000, invalid=0.02, duplicates=0.02))
    known = set(sample_events(20_000))
    faulty = expect([LogRecord(0, n, None, v) for n, v in enumerate(values)], "orders", 1)
    assert faulty.outcomes["accepted"] == len(known & set(values))
    assert sum(faulty.outcomes.values()) == 20_000
    assert {values[offset] for _, offset in faulty.dead_letters} == set(values) - known
