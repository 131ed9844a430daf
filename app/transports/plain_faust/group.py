"""The partitions of this worker: claimed with a token each, without which nothing can be committed."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import partial

from faust.types.tuples import TP

from app.transports.plain_faust.outbox import Fence
from app.transports.plain_faust.scripts import CLAIM, COMMIT
from app.transports.plain_faust.space import Space
from app.transports.redis_streams.scripts import Scripts

log = logging.getLogger(__name__)

ASK_SECONDS = 0.05
RELEASE_SECONDS = 1.0


class Group:
    """Partition number P of all topics of the group is one thing, with one owner."""

    def __init__(self, space: Space) -> None:
        self.worker = ""
        self._space = space
        self._field = space.keys.group_field
        self._tokens: dict[int, int] = {}

    async def claim(self, wanted: Collection[int], tps: Iterable[TP], changed: asyncio.Event) -> bool:
        """Take these partitions over, once their owners gave them up, died, or had time enough.

        Returns False if `changed` was set before all were claimed.
        """
        begun = asyncio.get_running_loop().time()
        patience = self._space.app.conf.broker_rebalance_timeout
        missing = dict.fromkeys(sorted(wanted))
        topics = defaultdict(list)
        for tp in sorted(tps):
            topics[tp.partition].append(tp)
        while True:
            for partition in list(missing):
                force = asyncio.get_running_loop().time() - begun > patience
                if await self._claim(partition, topics[partition], force=force):
                    del missing[partition]
            if not missing:
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), ASK_SECONDS)
            if changed.is_set():
                return False

    async def _claim(self, partition: int, tps: list[TP], *, force: bool) -> bool:
        space, keys = self._space, self._space.keys
        names = [keys.lease(partition), keys.members]
        for tp in tps:
            names += [keys.offsets(*tp), keys.stream(*tp), space.rows(*tp)]
        args = [self.worker, self._field, "1" if force else "0", space.app.conf.consumer_auto_offset_reset]
        doing = f"claiming partition {partition}"
        answer = await self._space.link.ask(doing, lambda client: CLAIM(client, names, args))
        if answer[0] != b"claimed":
            return False
        self._tokens[partition] = int(answer[1])
        return True

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit; returns False where a partition is no longer ours, or the server went back in time."""
        keys = self._space.keys
        by_partition: dict[int, dict[TP, int]] = defaultdict(dict)
        for tp, offset in offsets.items():
            by_partition[tp.partition][tp] = offset
        done = True
        for partition, own in by_partition.items():
            names = [keys.lease(partition)]
            for tp in own:
                names += [keys.offsets(*tp), keys.stream(*tp)]
            token = self._tokens.get(partition, 0)
            args = [self.worker, token, self._field, self._space.settings.redis_retain, *own.values()]
            answer = await self._space.link.ask(
                f"committing partition {partition}", partial(COMMIT, keys=names, args=args)
            )
            if answer != b"ok":
                log.warning(
                    "Partition %d: not committed (%s); what was not will be delivered again", partition, answer.decode()
                )
                done = False
        return done

    def fence(self, partition: int) -> Fence:
        """Return what this worker's changes of a table in this partition depend on."""
        return Fence(self._space.keys.lease(partition), self.worker, self._tokens.get(partition, 0))

    async def committed(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Return how far the group has read each partition."""
        return await self._space.offsets(tps, self._field)

    async def release(self, partitions: Iterable[int] | None = None) -> None:
        """Give partitions up (all, if none are named), so that nobody has to wait for them. Never raises."""
        given_up = set(self._tokens if partitions is None else partitions)
        releases = [self._release(partition, self._tokens.pop(partition)) for partition in given_up]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await asyncio.gather(*releases, return_exceptions=True)

    async def _release(self, partition: int, token: int) -> None:
        names, args = [self._space.keys.lease(partition)], [self.worker, token]
        await self._space.link.ask("giving up a partition", lambda client: Scripts(client)("release", names, args))

    @property
    def held(self) -> set[int]:
        """What was claimed and not given up."""
        return set(self._tokens)
