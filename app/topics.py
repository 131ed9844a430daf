"""Every name of a topic and of a table that is no aggregate, and the partition of a key. Pure; knows no broker."""

from functools import lru_cache
from typing import NamedTuple

ORDERS_TABLE = "orders"
LETTERS_TABLE = "dead_letters"
HELD_TABLE = "held_orders"
OUTCOMES_TABLE = "outcomes"


class Topics(NamedTuple):
    """The names of the topics of one application."""

    orders: str
    order_updates: str
    dead_letters: str
    state: str


def topics_for(prefix: str, app_id: str) -> Topics:
    """Return the topic names under `prefix`; the state topic is the application's own."""
    return Topics(f"{prefix}orders", f"{prefix}order-updates", f"{prefix}dead-letters", f"{prefix}{app_id}-state")


@lru_cache(maxsize=65_536)
def partition_of(customer_id: str, partitions: int) -> int:
    """Return the partition of a customer: Kafka's default for a key, on every broker."""
    return partition_of_key(customer_id.encode(), partitions)


def partition_of_key(key: bytes, partitions: int) -> int:
    """Return the partition of a raw key: murmur2 without its sign bit, modulo the partition count (Kafka's default)."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Return the 32-bit MurmurHash2 of `data` with the seed of Kafka's clients (Austin Appleby's algorithm)."""
    m = 0x5BD1E995
    mask = 0xFFFFFFFF
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        k = (int.from_bytes(data[at : at + 4], "little") * m) & mask
        k = ((k ^ (k >> 24)) * m) & mask
        h = ((h * m) & mask) ^ k
    if whole != length:
        h = ((h ^ int.from_bytes(data[whole:], "little")) * m) & mask
    h = ((h ^ (h >> 13)) * m) & mask
    return h ^ (h >> 15)
