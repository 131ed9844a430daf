"""Encodes produce requests in one piece.

The client's own encoding joins the parts of each level of a request into a new copy of all that is below it. For the
megabytes of a step that took an eighth of a worker's time.
"""

from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.api import RequestStruct
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.types import Array, Bytes, Int32, Schema


def encode_in_one_piece(client: AIOKafkaClient) -> None:
    """Let the produce requests of a transactional producer's client be encoded by `encoded`."""
    send = client.send

    async def send_encoded(node_id: Any, request: Any, **options: Any) -> Any:
        return await send(node_id, _OnePiece(request) if isinstance(request, ProduceRequest) else request, **options)

    client.send = send_encoded


class _OnePiece:
    """Stands for a request until its version is known. Nothing here refers back to the batches: they go when sent."""

    def __init__(self, request: ProduceRequest) -> None:
        self._request = request

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        """Return the request in the version that the broker has."""
        request: Any = self._request.prepare(versions)
        request.encode = [encoded(request)].pop
        return request


def encoded(request: RequestStruct) -> bytes:
    """Return what `request.encode()` returns, with a single copy of the batches in it."""
    parts: list[bytes] = []
    _collect(request.SCHEMA, [getattr(request, name) for name in request.SCHEMA.names], parts)
    return b"".join(parts)


def _collect(kind: Any, value: Any, parts: list[bytes]) -> None:
    """Add the encoded parts of a value; batches as they are."""
    if isinstance(kind, Schema):
        for field, part in zip(kind.fields, value, strict=True):
            _collect(field, part, parts)
    elif isinstance(kind, Array) and value is not None:
        parts.append(Int32.encode(len(value)))
        for item in value:
            _collect(kind.array_of, item, parts)
    elif kind is Bytes and value is not None:
        parts += (Int32.encode(len(value)), value)
    else:
        parts.append(kind.encode(value))
