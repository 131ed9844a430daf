"""A commit whose outcome is unknown: the lease gives up in time, and the next claim settles what became of the step."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from app.engine.errors import Unavailable, Unknown
from app.topics import topics_for
from app.transports.kafka.lease import claim
from tests.contract.brokers.every import Servers
from tests.contract.brokers.kafka import KafkaServer
from tests.integration.kafka_kit import committed, holding, numbered, produce, provisioned, settings_for
from tests.integration.test_kafka_lease import rows, update
from tools.local_kafka import LocalKafka


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


@pytest.mark.long
async def test_a_claim_waits_for_a_broker_that_is_away_for_a_moment(servers: Servers) -> None:
    """It was killed just then: whoever claims tries again, and does not end its worker."""
    with servers.own("kafka") as server:
        assert isinstance(server, KafkaServer)
        settings, topics = await provisioned(server.node, broker_timeout=60)
        server.kill()
        claiming = asyncio.create_task(claim(settings, topics, 0))
        done, _ = await asyncio.wait({claiming}, timeout=1)
        assert not done
        await asyncio.to_thread(server.start)
        lease = await claiming
        await lease.release()


async def test_a_claim_gives_up_after_the_broker_time_out() -> None:
    """Nobody listens there: it says so, and not at once."""
    settings = settings_for(LocalKafka(Path("unused")), broker_timeout=1.5)
    begin = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable, match="claiming partition 0"):
        await claim(settings, topics_for(settings.topic_prefix, settings.app_id), 0)
    assert 1 <= asyncio.get_running_loop().time() - begin <= 5
