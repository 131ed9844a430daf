"""An update holds the event as it came and the order as the API shows it, however it was rendered."""

from copy import copy

import orjson
import pytest

from app import order_updates
from app.order_updates import OrderUpdates
from app.sources.samples import sample_events
from models.events import parse_event
from models.order import Change, Order, apply, order_key, order_view


def changes(count: int, seed: int = 5) -> list[tuple[str, bytes, Change]]:
    """Return (row key, raw event, change) for each event of sample lives."""
    orders: dict[str, Order] = {}
    made = []
    for raw in sample_events(count, seed=seed, customers=20):
        event = parse_event(raw)
        key = order_key(event.customer_id, event.order_id)
        change = apply(orders.get(key), event)
        assert isinstance(change, Change)
        orders[key] = change.after
        made.append((key, raw, change))
    return made


def expected(raw: bytes, change: Change) -> object:
    """Return what the record must parse to."""
    event = change.event
    return {"event": orjson.loads(raw), "order": order_view(event.customer_id, event.order_id, change.after)}


@pytest.mark.parametrize("kept", [16_384, 3, 0])
def test_every_update_shows_the_whole_order(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when what was rendered before is kept for few orders only, or for none."""
    monkeypatch.setattr(order_updates, "RENDERED_ORDERS", kept)
    updates = OrderUpdates()
    for key, raw, change in changes(2_000):
        record = updates.render(key, raw, change)
        assert orjson.loads(record) == expected(raw, change)
        assert record.startswith(b'{"event":' + raw)


def test_what_a_dropped_step_rendered_is_never_used() -> None:
    """The same order may go on otherwise after a step was dropped: with another row, nothing kept counts."""
    updates = OrderUpdates()
    (key, raw, created), *_ = changes(1)
    updates.render(key, raw, created)
    ids = f'"order_id":"{created.event.order_id}","customer_id":"{created.event.customer_id}"'
    lost, kept = (
        f'{{"event_type":"order.paid","event_id":"{name}","timestamp":"2026-11-21T12:00:00Z",{ids}}}'.encode()
        for name in ("lost", "kept")
    )
    dropped = apply(created.after, parse_event(lost))
    assert isinstance(dropped, Change)
    updates.render(key, lost, dropped)

    reloaded = copy(created.after)
    redone = apply(reloaded, parse_event(kept))
    assert isinstance(redone, Change)
    assert orjson.loads(updates.render(key, kept, redone)) == expected(kept, redone)
