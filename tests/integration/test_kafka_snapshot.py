"""Reading the state of an application from outside: what is committed, all of it, without disturbing its owner."""

import pytest

from app.engine.errors import Inconsistent, Unavailable
from app.settings import Settings
from app.transports.kafka.snapshot import Snapshot
from tests.integration.kafka_kit import Transaction, admin, holding, names, produce, provisioned, settings_for
from tools.local_kafka import LocalKafka

Row = bytes | None


async def _rows(settings: Settings) -> dict[tuple[str, str], Row]:
    """Return the last version of each row of all partitions, None for a deleted one."""
    rows: dict[tuple[str, str], Row] = {}
    async with Snapshot(settings) as state:
        for partition in range(state.partitions):
            async for chunk in state.read(partition):
                rows.update({(table, key): row for table, key, row in chunk})
    return rows


async def test_all_that_is_committed_is_read(kafka: LocalKafka) -> None:
    """Of every partition, the last version of a row last; the offset is no row."""
    settings, _ = await provisioned(kafka, partitions=3)
    for partition in range(3):
        async with holding(settings, partition) as lease:
            await lease.commit(1, [("orders", [(f"k{partition}", b"1"), ("é/\x1f", b"[1]")])], [])
            await lease.commit(2, [("orders", [(f"k{partition}", b"2")]), ("customers", [("c", b"{}")])], [])
    assert await _rows(settings) == {
        ("orders", "k0"): b"2",
        ("orders", "k1"): b"2",
        ("orders", "k2"): b"2",
        ("orders", "é/\x1f"): b"[1]",
        ("customers", "c"): b"{}",
    }


async def test_an_empty_state_is_read_at_once(kafka: LocalKafka) -> None:
    """Nothing has come in yet."""
    settings, _ = await provisioned(kafka, partitions=2)
    assert await _rows(settings) == {}


async def test_what_is_not_committed_is_not_read(kafka: LocalKafka) -> None:
    """Neither what was aborted nor what is still open; and an open transaction keeps nobody waiting."""
    settings, topics = await provisioned(kafka)
    async with holding(settings) as lease:
        await lease.commit(1, [("orders", [("k", b"1"), ("gone", b"1")])], [])
        await lease.commit(2, [("orders", [("k", b"2")])], [])
    produce(kafka, topics.state, [(b"orders/gone", None)])
    aborted = Transaction(kafka, f"{topics.state}-a")
    aborted.write(topics.state, [(b"orders/k", b"aborted")])
    aborted.abort()
    open_one = Transaction(kafka, f"{topics.state}-b")
    open_one.write(topics.state, [(b"orders/k", b"open")])
    produce(kafka, topics.state, [(b"orders/k", b"behind the open one")])
    try:
        assert await _rows(settings) == {("orders", "k"): b"2", ("orders", "gone"): None}
    finally:
        open_one.abort()


async def test_without_a_state_there_is_a_clear_error(kafka: LocalKafka) -> None:
    """And to look for it does not make its topic."""
    settings = settings_for(kafka)
    with pytest.raises(Inconsistent, match=rf"there is no topic {names(settings).state}.*ORDERS_APP_ID"):
        await _rows(settings)
    assert names(settings).state not in admin(kafka).list_topics(timeout=10).topics


async def test_without_a_broker_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the time that every command takes to give up."""
    monkeypatch.setattr("app.transports.kafka.provision.START_SECONDS", 0.2)
    with pytest.raises(Unavailable, match=r"no Kafka at 127\.0\.0\.1:1 "):
        await _rows(Settings(broker="kafka://127.0.0.1:1"))
