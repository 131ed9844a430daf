"""Who gets which partitions: evenly, moving as few as can be. Pure; the same on every broker."""

from collections.abc import Iterable, Mapping


def share(partitions: Iterable[int], owned: Mapping[str, Iterable[int]]) -> dict[str, list[int]]:
    """Return which member gets which partitions: counts differ by one at most, and nobody loses more than needed.

    `owned` maps each member to what it holds now; where two claim the same partition, the first by name keeps it.
    """
    members = sorted(owned)
    free = set(partitions)
    kept: dict[str, list[int]] = {}
    for member in members:
        kept[member] = sorted(free.intersection(owned[member]))
        free.difference_update(kept[member])
    low, extra = divmod(len(free) + sum(map(len, kept.values())), len(members))
    by_holding = sorted(members, key=lambda member: (-len(kept[member]), member))
    for at, member in enumerate(by_holding):
        quota = low + (1 if at < extra else 0)
        free.update(kept[member][quota:])
        kept[member] = kept[member][:quota]
    waiting = sorted(free, reverse=True)
    for at, member in enumerate(by_holding):
        quota = low + (1 if at < extra else 0)
        while len(kept[member]) < quota:
            kept[member].append(waiting.pop())
        kept[member].sort()
    return kept
