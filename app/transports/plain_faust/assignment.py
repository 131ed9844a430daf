"""Which partitions of which topics a worker has, and how Faust's assignor and router are told."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from faust.assignor.client_assignment import ClientAssignment
from faust.types.tuples import TP

from app.transports.plain_faust.space import Topic


class Assignment(NamedTuple):
    """Partitions by topic. `standbys` are those of tables that every worker holds whole."""

    actives: dict[str, list[int]]
    standbys: dict[str, list[int]]

    @classmethod
    def of(cls, app: Any, topics: Iterable[Topic], owned: set[int]) -> "Assignment":
        """Give the owner of a partition number that partition of every topic, and all of what is its own."""
        actives, standbys = {}, {}
        for name, partitions, *_ in topics:
            everything = list(range(partitions))
            actives[name] = everything if name == app.conf.reply_to else [p for p in everything if p in owned]
            table = app.tables._changelogs.get(name)  # noqa: SLF001 - Faust offers no other way from topic to table
            if table is not None and table.is_global:
                shared = table.synchronize_all_active_partitions or table.use_partitioner
                standbys[name] = everything if shared else [p for p in everything if p not in owned]
                actives[name] = everything
        return cls(actives, standbys)

    @property
    def tps(self) -> set[TP]:
        """All of them."""
        return {TP(topic, p) for part in self for topic, partitions in part.items() for p in partitions}


def tell_assignor(app: Any, now: Assignment, topics: Iterable[Topic], routes: Mapping[int, str]) -> None:
    """Have Faust's assignor know what it would have decided itself on Kafka, for recovery and for the router."""
    assignor = app.assignor
    assignor._assignment = ClientAssignment(actives=now.actives, standbys=now.standbys)  # noqa: SLF001
    assignor._active_tps = assignor._assignment.active_tps  # noqa: SLF001
    assignor._standby_tps = assignor._assignment.standby_tps  # noqa: SLF001
    assignor._topic_groups = dict.fromkeys(now.actives, 0)  # noqa: SLF001
    changelogs = app.tables.changelog_topics
    tables: dict[str, dict[str, list[int]]] = {}
    others: dict[str, dict[str, list[int]]] = {}
    for topic in topics:
        for partition in range(topic.partitions):
            if partition in routes:
                hosts = tables if topic.name in changelogs else others
                hosts.setdefault(routes[partition], {}).setdefault(topic.name, []).append(partition)
    assignor.changelog_distribution = tables
    assignor.external_topic_distribution = others
