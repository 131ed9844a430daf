"""Engines at work on a real broker while others claim their partition: every record counts once, whoever wins."""

import asyncio

import pytest

from app.engine import lane as lane_module
from tests.contract.lanes import Run
from tests.contract.space import Space

RECORDS = 1_200


@pytest.fixture
async def run(space: Space, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A topic full of records; steps are small, so that many are disturbed."""
    monkeypatch.setattr(lane_module, "MAX_RECORDS", 20)
    run = Run(space)
    await run.send(RECORDS)
    return run


async def test_claims_of_a_stranger_cost_nothing_but_time(run: Run) -> None:
    """Whoever claims the partition at any moment and does nothing with it: rows and outputs stay exact."""
    engine = run.engine()
    await engine.assign({0})

    async def disturb() -> None:
        await (await run.space.claim()).release()

    await run.until_done([engine], disturb)
    for _ in range(3):  # also where it waits for more
        await disturb()
        await run.send(20)
        await run.until_done([engine])
    assert run.claimant.claims > 3, "hardly anybody disturbed it"
    await engine.stop()
    await run.check()


async def test_two_that_both_believe_to_own_a_partition_count_everything_once(run: Run) -> None:
    """They fence each other as long as it takes, and what each commits goes on where the other stopped."""
    engines = [run.engine(), run.engine()]
    for engine in engines:
        await engine.assign({0})
    await run.until_done(engines)
    assert run.claimant.claims > 2, "they never met"
    await asyncio.gather(*(engine.stop() for engine in engines))
    await run.check()


async def test_a_stop_in_the_middle_is_taken_up_without_a_loss(run: Run) -> None:
    """Engines that are stopped after a few steps, one after the other, come to the same end as one."""
    done = 0
    for _ in range(200):
        engine = run.engine()
        await engine.assign({0})
        begin = done
        async with asyncio.timeout(20):
            while engine.status()[0].next_offset in (None, begin):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.001)
        await engine.stop()
        done = engine.status()[0].next_offset or 0
        assert done > begin
        if done == RECORDS:
            break
    await run.check()
