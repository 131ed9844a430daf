"""A produce request encoded in one piece is, byte for byte, what the client makes of it."""

from typing import Any

import pytest
from aiokafka.protocol.produce import (
    ProduceRequest_v0,
    ProduceRequest_v3,
    ProduceRequest_v7,
    ProduceRequest_v8,
)

from app.transports.kafka.produce import encoded

TOPICS: list[Any] = [("updates", [(0, bytearray(b"batch" * 1000)), (3, b"")]), ("empty", []), ("é", [(1, None)])]


@pytest.mark.parametrize(
    "request_struct",
    [
        ProduceRequest_v0(1, 30_000, TOPICS),
        *(version("state-0", -1, 30_000, TOPICS) for version in (ProduceRequest_v3, ProduceRequest_v7)),
        ProduceRequest_v8(None, -1, 30_000, []),
    ],
    ids=lambda request: type(request).__name__,
)
def test_one_piece_is_the_same_as_many(request_struct: Any) -> None:
    """Of every version, with and without batches, topics and a transactional id."""
    assert encoded(request_struct) == request_struct.encode()
