"""A Redis Cluster: all keys are in one slot, whichever node the address names, and wherever the slot goes."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from app.engine.errors import Refused
from app.settings import Settings
from app.transports.redis_streams.keys import keys_for
from tests.contract.space import Space
from tests.integration.redis_kit import MAKES, RedisNode
from tests.integration.redis_run import Run
from tests.waiting import wait_until
from tools.local_kafka import free_port

SLOTS = 16_384
NODES = 3
AT_ONCE = 100


class Cluster:
    """Three primaries on this machine."""

    def __init__(self, folder: Path, make: str) -> None:
        options = {"cluster_enabled": "yes", "cluster_node_timeout": 1_000, "appendonly": "no"}
        self.nodes = [
            RedisNode(folder / f"{number}", make, cluster_port=free_port(), **options) for number in range(NODES)
        ]

    def join(self) -> None:
        """Make a cluster of the running nodes."""
        bounds = [number * SLOTS // NODES for number in range(NODES + 1)]
        for node, (first, end) in zip(self.nodes, pairwise(bounds), strict=True):
            node.command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
            node.command("CLUSTER", "SET-CONFIG-EPOCH", self.nodes.index(node) + 1)
        for node in self.nodes[1:]:
            self.nodes[0].command("CLUSTER", "MEET", "127.0.0.1", node.port, node.options["cluster-port"])
        for node in self.nodes:
            wait_until(lambda: self._is_whole(node), 30, "the cluster", node.log_text)  # noqa: B023 - called at once

    @staticmethod
    def _is_whole(node: RedisNode) -> bool:
        known = _told(node, "NODES").decode().splitlines()
        return b"cluster_state:ok" in _told(node, "INFO") and len(known) == NODES

    def holder(self, slot: int) -> RedisNode:
        """Return the node that holds a slot."""
        for first, last, (_, port, *_), *_ in _told(self.nodes[0], "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody holds slot {slot}")

    def other(self, node: RedisNode) -> RedisNode:
        """Return another node."""
        return self.nodes[(self.nodes.index(node) + 1) % NODES]

    def move(self, slot: int, source: RedisNode, target: RedisNode) -> None:
        """Move a slot with all its keys, some at a time, as `redis-cli --cluster reshard` does."""
        ids = {node.port: _told(node, "MYID") for node in (source, target)}
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
        while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, 2):
            source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        for node in (target, source, *self.nodes):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])


def _told(node: RedisNode, what: str) -> Any:
    with node.client() as client:
        client.response_callbacks.clear()  # as the server says it
        return client.execute_command("CLUSTER", what)


@pytest.fixture(scope="module", params=MAKES)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of each make that has one of its own kind."""
    made = Cluster(tmp_path_factory.mktemp("cluster"), request.param)
    with ExitStack() as stack:
        for node in made.nodes:
            stack.enter_context(node)
        made.join()
        yield made


def slot_of(cluster: Cluster, prefix: str) -> int:
    """Return the slot of all keys with this prefix of topics."""
    return int(cluster.nodes[0].command("CLUSTER", "KEYSLOT", keys_for(Settings(topic_prefix=prefix)).tag))


@pytest.mark.long
def test_any_node_will_do(cluster: Cluster) -> None:
    """One that does not hold our slot leads to the one that does; every key is in that slot."""
    prefix = f"{secrets.token_hex(3)}."
    slot = slot_of(cluster, prefix)
    holder = cluster.holder(slot)
    for node in cluster.nodes:
        with Run(holder, topic_prefix=prefix, app_id=f"a{node.port}", **node.address()) as run:
            run.send(200)
            run.wait_until_counted()
            if node is cluster.nodes[0]:
                run.check()
    keys = [key for node in cluster.nodes for key in node.command("KEYS", "*") if prefix.encode() in key]
    assert len(keys) > 20
    assert {int(holder.command("CLUSTER", "KEYSLOT", key)) for key in keys} == {slot}


@pytest.mark.long
def test_a_slot_that_moves_is_followed(cluster: Cluster) -> None:
    """While records are counted: what is asked in between is tried again, until all keys have arrived."""
    prefix = f"{secrets.token_hex(3)}."
    slot = slot_of(cluster, prefix)
    source = cluster.holder(slot)
    target = cluster.other(source)
    with Run(target, workers=2, topic_prefix=prefix, **cluster.other(target).address()) as run:
        run.send(300)
        cluster.move(slot, source, target)
        run.send(300)
        run.wait_until_counted()
        run.check()
        cluster.move(slot, target, source)
        run.node = source
        run.send(300)
        run.wait_until_counted()
        run.check()
        assert [worker.running for worker in run.workers] == [True, True]


async def test_a_database_number_is_refused(cluster: Cluster) -> None:
    """A cluster has none."""
    with pytest.raises(Refused, match="ORDERS_BROKER"):
        await Space(cluster.nodes[0], broker=f"redis://127.0.0.1:{cluster.nodes[0].port}/1").prepare()


def test_a_primary_that_dies_is_followed_by_its_replica(tmp_path: Path) -> None:
    """The cluster makes the replica the primary; any node that is left knows."""
    made = Cluster(tmp_path, "redis-7")
    first = made.nodes[0]
    options = {name: value for name, value in first.options.items() if "port" not in name}
    replica = RedisNode(tmp_path / "replica", "redis-7", cluster_port=free_port(), **options)
    with ExitStack() as stack:
        for node in (*made.nodes, replica):
            stack.enter_context(node)
        made.join()
        prefix = f"{secrets.token_hex(3)}."
        primary = made.holder(slot_of(made, prefix))
        replica.command("CLUSTER", "MEET", "127.0.0.1", first.port, first.options["cluster-port"])
        primary_id = _told(primary, "MYID")
        wait_until(lambda: primary_id in _told(replica, "NODES"), 20, "the replica to know its primary")
        wait_until(lambda: _replicates(replica, primary_id), 20, "the replica to be taken in")
        with Run(primary, topic_prefix=prefix, **primary.address()) as run:
            run.send(300)
            run.wait_until_counted()
            assert primary.command("WAIT", 1, 5_000) >= 1
            primary.kill()
            wait_until(lambda: replica.command("ROLE")[0] == b"master", 30, "the failover", replica.log_text)
            run.node = replica
            run.send(300)
            run.wait_until_counted()
            run.check()


def _replicates(replica: RedisNode, primary_id: bytes) -> bool:
    if replica.command("ROLE")[0] == b"master":
        replica.command("CLUSTER", "REPLICATE", primary_id)
    return bool(replica.command("ROLE")[3] == b"connected")
