"""A commit whose outcome is unknown: the lease gives up in time, and the next claim settles what became of the step."""

import asyncio
import os
import signal

import pytest

from app.engine.errors import Unknown
from tests.contract.brokers.every import Servers
from tests.contract.brokers.kafka import KafkaServer
from tests.integration.kafka_kit import committed, holding, numbered, produce, provisioned
from tests.integration.test_kafka_lease import rows, update


async def test_a_commit_without_an_answer_is_unknown_and_the_next_claim_settles_it(servers: Servers) -> None:
    """The broker hangs under a commit: the step is there whole or not at all, and never twice once it is done again."""
    with servers.own("kafka") as server:
        assert isinstance(server, KafkaServer)
        kafka = server.node
        settings, topics = await provisioned(kafka, broker_timeout=6)
        produce(kafka, topics.orders, numbered(2))
        async with holding(settings) as lease:
            await lease.commit(1, rows(count=1), [update(topics, b"first")])
            assert kafka.pid is not None
            os.kill(kafka.pid, signal.SIGSTOP)
            try:
                with pytest.raises(Unknown, match="the next claim tells"):
                    await lease.commit(2, rows(count=2), [update(topics, b"second")])
            finally:
                os.kill(kafka.pid, signal.SIGCONT)

        async with asyncio.timeout(30), holding(settings) as lease:
            if lease.next_offset == 1:
                await lease.commit(2, rows(count=2), [update(topics, b"second")])
            assert lease.next_offset == 2
        assert [record.value for record in committed(kafka, topics.order_updates)] == [b"first", b"second"]
