"""The control of the contract suite's lanes: without Kafka's fence, the same run is wrong."""

import asyncio
import secrets

import pytest
from aiokafka import AIOKafkaProducer

from app.engine import lane as lane_module
from app.transports.kafka import lease as lease_module
from tests.contract.brokers.every import Servers
from tests.contract.lanes import Run
from tests.contract.space import Space
from tools.local_kafka import LocalKafka

RECORDS = 3_000


@pytest.mark.usefixtures("nothing_forgotten")
async def test_without_the_fence_two_owners_count_twice(
    kafka: LocalKafka, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a transactional id for each claim, two that both believe to own a partition both count it."""

    def unfenced(*, transactional_id: str, **options: object) -> object:
        return AIOKafkaProducer(transactional_id=f"{transactional_id}-{secrets.token_hex(4)}", **options)

    monkeypatch.setattr(lane_module, "MAX_RECORDS", 20)
    monkeypatch.setattr(lease_module, "AIOKafkaProducer", unfenced)
    run = Run(Space(servers.get("kafka")))
    await run.space.prepare()
    await run.send(RECORDS)
    engines = [run.engine(), run.engine()]
    for engine in engines:
        await engine.assign({0})
    await run.until_done(engines)
    await asyncio.gather(*(engine.stop() for engine in engines))
    assert len(await run.space.values(run.space.topics.order_updates)) > RECORDS
