"""The simple job as Redis tutorials show it: a consumer group, ten entries a read, state in hashes, one XACK each.

At least once, one process. Events are validated by the same pydantic models; the state is the same, one hash per
customer. Run it as a script with the server's socket and a stream; it prints `processed N` once a second.
"""

import sys
import time
from typing import Any

import redis

from models.events import parse_event

GROUP, CONSUMER = "totals", "worker-1"


def main(socket: str, stream: str) -> None:
    """Read until killed."""
    server: Any = redis.Redis(unix_socket_path=socket)
    server.xgroup_create(stream, GROUP, id="0", mkstream=True)
    processed, told = 0, time.monotonic()
    while True:
        for _, entries in server.xreadgroup(GROUP, CONSUMER, {stream: ">"}, count=10, block=1000):
            for entry_id, fields in entries:
                event = parse_event(fields[b"event"])
                key = f"customer:{event.customer_id}"
                server.hincrby(key, "events", 1)
                if event.total is not None:
                    server.hincrby(key, "orders", 1)
                    server.hincrby(key, f"total:{event.currency}", event.total)
                server.xack(stream, GROUP, entry_id)
                processed += 1
        if time.monotonic() - told >= 1:
            print(f"processed {processed}", flush=True)
            told = time.monotonic()


if __name__ == "__main__":
    main(*sys.argv[1:])
