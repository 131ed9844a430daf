"""Sample events as the records that a shop would send."""

import json

from app.sources.samples import sample_events
from tests.contract.brokers.server import Sent


def sample_records(count: int, seed: int) -> list[Sent]:
    """Return so many, keyed by customer."""
    events = sample_events(count, seed=seed)
    return [(str(json.loads(event)["customer_id"]).encode(), event, ()) for event in events]
