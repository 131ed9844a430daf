"""Shares the partitions of the orders topic evenly over the group's workers, moving as few as can be.

Each worker tells the group where it is reached and what it owns; the answer tells every worker who owns what. So the
routing of readers needs no directory of its own.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from app.transports.sharing import share

VERSION = 0


class StickyAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """aiokafka's side of `share`. One instance per worker; `owned` is kept up to date by the membership."""

    name = "orderflow-sticky"

    def __init__(self, topic: str, web_url: str) -> None:
        self.owned: frozenset[int] = frozenset()
        self.routes: dict[int, str] = {}
        self.workers: list[str] = []
        self._topic = topic
        self._web_url = web_url

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Tell the group what this worker owns and where it is reached."""
        user_data = orjson.dumps({"web": self._web_url, "owned": sorted(self.owned)})
        return ConsumerProtocolMemberMetadata(VERSION, list(topics), user_data)

    def assign(
        self, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Share the partitions (called on the group's leader only)."""
        told = {member: orjson.loads(metadata.user_data) for member, metadata in members.items()}
        partitions = cluster.partitions_for_topic(self._topic) or set()
        shares = share(partitions, {member: data["owned"] for member, data in told.items()})
        routes = {str(partition): told[member]["web"] for member, owned in shares.items() for partition in owned}
        user_data = orjson.dumps({"routes": routes, "workers": sorted({data["web"] for data in told.values()})})
        return {
            member: ConsumerProtocolMemberAssignment(VERSION, [(self._topic, owned)], user_data)
            for member, owned in shares.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Take the routing table that came with the assignment."""
        told = orjson.loads(assignment.user_data) if assignment.user_data else {}
        self.routes = {int(partition): url for partition, url in told.get("routes", {}).items()}
        self.workers = told.get("workers", sorted(set(self.routes.values())))  # a leader of an older version has none
