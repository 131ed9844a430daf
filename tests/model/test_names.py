"""The model's names are the code's, and what a real lane does is possible in the model."""

import asyncio
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.protocol import transaction

from app.engine import errors
from app.engine.broker import Broker as EngineBroker
from app.engine.broker import Lease
from app.engine.engine import Engine
from app.engine.lane import Lane, LaneState
from app.engine.step import Step
from app.engine.table import Table
from app.transports.kafka import lease as kafka_lease
from app.transports.kafka import membership as kafka_membership
from app.transports.kafka.broker import KafkaBroker
from app.transports.redis_streams import lease as redis_lease
from app.transports.redis_streams import membership as redis_membership
from app.transports.redis_streams.broker import RedisBroker
from tests.model import partition
from tests.model.kafka import Kafka
from tests.model.partition import At, Broker, Wrong
from tests.model.redis import Redis
from tests.model.world import Model
from tests.unit.memory_broker import MemoryBroker, QuickClock

MOVES: dict[str, tuple[Any, ...]] = {
    "assign": (Engine,),
    "claim": (EngineBroker, KafkaBroker, RedisBroker, kafka_lease),
    "load": (Lease, kafka_lease.KafkaLease, redis_lease.RedisLease),
    "_source_offset": (kafka_lease.KafkaLease,),
    "read": (Lease, kafka_lease.KafkaLease, redis_lease.RedisLease),
    "commit": (Lease, kafka_lease.KafkaLease, redis_lease.RedisLease),
    "_send": (kafka_lease.KafkaLease,),
    "commit_transaction": (AIOKafkaProducer,),
    "publish": (Step,),
    "release": (Lease, kafka_lease.KafkaLease, redis_lease.RedisLease),
    "confirm": (EngineBroker, KafkaBroker, RedisBroker, kafka_membership.Membership, redis_membership.Membership),
    "stopped": (Lane,),
}
"""Where the moves of workers are to be found."""

SCRIPTS = {"claim", "commit", "release", "append"}
KAFKAS_OWN = {"EndTxn", "WriteTxnMarkers", "transaction_timeout_ms"}
FAULTS = {"crash", "pause", "join", "restart", "fsync"}


@pytest.mark.parametrize(("name", "places"), MOVES.items(), ids=MOVES)
def test_a_move_is_named_as_in_the_code(name: str, places: tuple[Any, ...]) -> None:
    """Whoever renames the one has to rename the other."""
    for place in places:
        assert callable(getattr(place, name, None)), f"{place} has no {name} any more: rename it in tests/model too"


@pytest.mark.parametrize("broker", [Kafka(), Redis(), Redis(everysec=True), Kafka(Wrong.OFFSET_READ_BEFORE_CLAIM)])
def test_no_move_has_another_name(broker: Broker) -> None:
    """What workers, scripts and brokers do is in the lists above; the rest are faults."""
    found = Model(broker, (1,)).search(most_faults=2)
    assert found.names() <= MOVES.keys() | SCRIPTS | KAFKAS_OWN | FAULTS
    for outcome in {move.outcome.partition(":")[0] for move in found.moves if move.outcome[:1].isupper()}:
        assert issubclass(getattr(errors, outcome, str), errors.EngineError) or outcome in {"state", "outputs"}


def test_states_are_named_as_in_the_code() -> None:
    """The places of a lane, the fields of lane and step, what is thrown away by a claim."""
    lane = Lane(0, MemoryBroker(), (), _counting, QuickClock())
    assert At.STOPPED.value == LaneState.STOPPED.value
    assert all(hasattr(lane, f"_{at.removeprefix('_')}") for at in (At.LOAD, At.READ, At.COMMIT, At.STILL_OURS))
    assert all(hasattr(Lane, name) or hasattr(lane, name) for name in ("rows", "next_offset"))
    assert {"records", "first_offset", "next_offset"} <= {*partition.Step._fields} & {*Step.__slots__}
    assert all(hasattr(transaction, f"{name}Request") for name in ("EndTxn", "InitProducerId"))
    assert kafka_lease.TRANSACTION_TIMEOUT_MS
    scripts = files("app.transports.redis_streams").joinpath("lua")
    assert all(scripts.joinpath(f"{name}.lua").is_file() for name in SCRIPTS)


async def _counting(steps: AsyncIterator[Step]) -> None:
    async for step in steps:
        step.table("counts").put("all", step.next_offset)


async def _run(broker: MemoryBroker, records: int) -> list[str]:
    """Run a real lane over so many records and return what it asked of the broker."""
    broker.batch_size = 1
    broker.add(*[b"a"] * records)
    lane = Lane(0, broker, (Table("counts"),), _counting, QuickClock())
    lane.start(lambda failure: pytest.fail(str(failure)))
    async with asyncio.timeout(5):
        while lane.next_offset != broker.end() or broker.calls[-1] != "read":  # noqa: ASYNC110 - of the lane's own
            await asyncio.sleep(0)
        await lane.stopped(1)
    return broker.calls


async def test_what_a_lane_does_is_a_way_through_the_model() -> None:
    """From the claim over two steps to the release."""
    calls = await _run(MemoryBroker(), 2)
    assert calls[-2:] == ["read", "release"], "the last one found nothing"
    played = ["worker 0: assign"]
    for call in calls[:-2]:
        played.append(f"worker 0, partition 0: {call}")
        if call == "commit":
            played.append("worker 0, partition 0: publish")
    stopped = ["worker 0: pause", "worker 0: assign", "worker 0, partition 0: release"]
    model = Model(Redis(), (2,))
    (part,) = model.parts(model.play(played))
    assert part.stored.rows == part.stored.outputs == part.lanes[0].rows == (0, 1)
    model.play([*played, "worker 0: pause", "worker 1: assign", *stopped[1:]])


async def test_what_a_fenced_lane_does_is_a_way_through_the_model() -> None:
    """It drops its rows, asks whether the partition is still its own, and claims anew."""
    broker = MemoryBroker()

    def fence_once(call: str) -> None:
        if call == "commit" and broker.calls.count("commit") == 1:
            broker.fence()

    broker.on_call = fence_once
    calls = await _run(broker, 1)
    assert calls[:7] == ["claim", "load", "read", "commit", "release", "confirm", "claim"]
    me = "worker 0, partition 0: "
    taken_over = ["worker 0: pause", "worker 1: assign", "worker 1, partition 0: claim", "worker 1: pause"]
    first, then = calls[:3], [call for call in calls[5:10] if call != "release"]  # the model's fence gives up by itself
    model = Model(Redis(), (1,))
    played = ["worker 0: assign", *(me + call for call in first), *taken_over, f"{me}commit → Fenced"]
    (part,) = model.parts(model.play([*played, *(me + call for call in then), f"{me}publish"]))
    assert part.stored.rows == part.stored.outputs == part.lanes[0].rows == (0,)
