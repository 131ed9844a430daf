"""Turns of lanes: one of them every few passes of the event loop, in the order in which they were asked for."""

import asyncio
from itertools import pairwise

from app.engine.turns import PASSES, Turns


async def test_one_computes_every_few_passes_of_the_event_loop_in_the_order_of_asking() -> None:
    """However many lanes there are, everything else waits for one of them only."""
    turns, told, passes = Turns(), [], 0

    async def lane(name: str) -> None:
        for part in range(3):
            await turns.turn()
            told.append((name, part, passes))

    async with asyncio.TaskGroup() as group:
        lanes = [group.create_task(lane(name)) for name in "abc"]
        while not all(lane.done() for lane in lanes):
            passes += 1
            await asyncio.sleep(0)
    assert [(name, part) for name, part, _ in told] == [(name, part) for part in range(3) for name in "abc"]
    times = [at for _, _, at in told]
    assert all(later - earlier >= PASSES for earlier, later in pairwise(times))


async def test_a_lane_that_is_cancelled_while_it_waits_takes_nobodys_turn() -> None:
    """And turns are granted again after all have ended."""
    turns = Turns()
    waiting = [asyncio.create_task(turns.turn()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()
    async with asyncio.timeout(5):
        await waiting[2]
        await asyncio.sleep(0)
        await turns.turn()
    assert [task.cancelled() for task in waiting] == [True, True, False]
