"""The partition of a key, as every Kafka client has it, and the names of topics."""

import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import example, given
from hypothesis import strategies as st

from app.topics import Topics, murmur2, partition_of, partition_of_key, topics_for


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        # What Kafka's own tests expect (org.apache.kafka.common.utils.UtilsTest), as signed 32-bit numbers.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_that_of_the_java_client(key: bytes, expected: int) -> None:
    """So that records that other producers wrote are found where we look for them."""
    assert murmur2(key) == expected % 2**32


@given(st.binary(max_size=70))
@example(b"")
@example(b"\xff" * 4)
@example(b"\x80\x00\x00\x80\xff")
def test_the_hash_is_that_of_another_python_client(key: bytes) -> None:
    """For any bytes, of every length modulo four."""
    assert murmur2(key) == aiokafka_murmur2(key) % 2**32


@given(st.text(max_size=30), st.integers(1, 300))
def test_a_partition_exists_and_depends_on_nothing_but_the_key(customer_id: str, partitions: int) -> None:
    """The sign of the hash is dropped, as Kafka does, so no partition is negative."""
    try:
        key = customer_id.encode()
    except UnicodeEncodeError:
        return
    partition = partition_of(customer_id, partitions)
    assert 0 <= partition < partitions
    assert partition == partition_of_key(key, partitions) == (aiokafka_murmur2(key) & 0x7FFFFFFF) % partitions


def test_customers_are_spread_evenly() -> None:
    """No partition has far more than its share of 10,000 customers."""
    counts = [0] * 8
    for number in range(10_000):
        counts[partition_of(f"customer-{number}", 8)] += 1
    assert min(counts) > 1_100
    assert max(counts) < 1_400


def test_names_have_the_prefix_and_the_state_is_the_applications_own() -> None:
    """Two applications can share the topics of the orders, never a state."""
    assert topics_for("", "orderflow") == Topics("orders", "order-updates", "dead-letters", "orderflow-state")
    assert topics_for("shop.", "totals") == Topics(
        "shop.orders", "shop.order-updates", "shop.dead-letters", "shop.totals-state"
    )
