"""What the `order-updates` topic carries: each accepted event as it came, and the order as it then stood.

What no later event changes is rendered once: an order's lasting part with its first event, each event when it comes.
It is kept for orders that were touched lately.
"""

from json.encoder import encode_basestring as quoted

import orjson

from models.money import CURRENCIES, format_minor
from models.order import Change, Order, events_of, lasting_view

RENDERED_ORDERS = 16_384
"""Orders per generation; two generations are kept."""


class OrderUpdates:
    """Renders update records. What is kept counts for the very same row object only: steps may be dropped."""

    def __init__(self) -> None:
        # Per row key: the row, and the beginning of its JSON, up to and with its last event.
        self._new: dict[str, tuple[Order, bytes]] = {}
        self._old: dict[str, tuple[Order, bytes]] = {}

    def render(self, key: str, raw_event: bytes, change: Change) -> bytes:
        """Return the record for a change of the order with row key `key`; `raw_event` is the JSON that caused it."""
        event, before, after = change.event, change.before, change.after
        known = None if before is None else self._new.get(key) or self._old.get(key)
        if known is not None and known[0] is before:
            rendered = known[1] + b"," + _event(event.event_id, event.event_type, event.timestamp)
        else:
            lasting = orjson.dumps(lasting_view(event.customer_id, event.order_id, after))
            events = b",".join([_event(*each) for each in events_of(after)])
            rendered = lasting[:-1] + b',"events":[' + events
        self._new[key] = after, rendered
        if len(self._new) > RENDERED_ORDERS:
            self._old, self._new = self._new, {}
        refunded = format_minor(after.refunded, CURRENCIES[after.currency])
        rest = f'],"status":"{after.status}","refunded_amount":"{refunded}","updated_at":"{after.updated_at}Z"}}}}'
        return b"".join((b'{"event":', raw_event, b',"order":', rendered, rest.encode()))


def _event(event_id: str, event_type: str, timestamp: str) -> bytes:
    return f'{{"event_id":{quoted(event_id)},"event_type":"{event_type}","timestamp":"{timestamp}Z"}}'.encode()
