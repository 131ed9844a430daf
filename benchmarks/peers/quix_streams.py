"""The simple job on Quix Streams, as its documentation shows it: one stateful function, RocksDB, at least once.

Run as a script with the broker, the consumer group, the topic and the folder for its state.
"""

import sys
from typing import Any

from quixstreams import Application  # type: ignore[import-not-found]  # only in the peers' environment

from benchmarks.simple_job_fold import count
from models.events import parse_event

COMMIT_SECONDS = 1.0


def total(value: bytes, state: Any) -> None:
    """Count one event of the customer whose state this is."""
    event = parse_event(value)
    state.set("row", count(state.get("row"), event.total, event.currency))


def main(broker: str, group: str, topic: str, folder: str) -> None:
    """Run until SIGTERM."""
    app = Application(
        broker_address=broker,
        consumer_group=group,
        auto_offset_reset="earliest",
        commit_interval=COMMIT_SECONDS,
        state_dir=folder,
        loglevel="WARNING",
    )
    orders = app.topic(topic, key_deserializer="str", value_deserializer="bytes")
    app.dataframe(orders).update(total, stateful=True)
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
