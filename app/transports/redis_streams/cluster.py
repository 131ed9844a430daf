"""Which node of a Redis Cluster holds which slots."""

from typing import Any, NamedTuple


class Node(NamedTuple):
    """Where a server is reached."""

    host: str
    port: int


def nodes_by_slot(answer: Any, asked: Node) -> list[tuple[range, Node]]:
    """Return who holds which slots, from an answer to CLUSTER SLOTS in whichever shape the client gives it.

    A node without an address is the one that was `asked`.
    """
    if isinstance(answer, dict):
        found = [(low, high, *told["primary"][:2]) for (low, high), told in answer.items()]
    else:
        found = [(low, high, *primary[:2]) for low, high, primary, *_ in answer]
    return [
        (range(int(low), int(high) + 1), Node(_text(host) or asked.host, int(port))) for low, high, host, port in found
    ]


def _text(host: Any) -> str:
    return host.decode() if isinstance(host, bytes) else host or ""
