"""Nothing lost, nothing twice: real brokers, real workers, real crashes, and an oracle that checks every row."""

import pytest

from app.sources.samples import sample_events
from tests.acceptance.judge import judge
from tests.acceptance.scene import PARTITIONS, Scene
from tests.contract.brokers.every import over

MISPLACED = 0.01


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scene", over(long=["embedded", "redis"]), indirect=True)
def test_a_crash_of_a_worker_leaves_no_trace(scene: Scene) -> None:
    """A SIGKILL while events of every kind come in; the other one takes over, the first one comes back."""
    first, second = scene.start_workers(2)
    events = list(sample_events(3_000, seed=3, invalid=0.01, duplicates=0.01))
    with scene.shop(events, per_second=1_000, misplaced=MISPLACED) as shop:
        shop.allow(2_000)
        shop.wait_until_sent(1_000)
        first.kill()
        shop.wait_until_sent(2_000)
        scene.wait_until_past(scene.ends())
        first.start()
        shop.finish()
        scene.wait_until_processed()
        expected = judge(scene, shop.sent, reader=second)
    assert expected.outcomes["forwarded"] > 0
    assert expected.outcomes["duplicate"] > 0
    assert expected.letters > 15


@pytest.mark.long
@pytest.mark.timeout(600)
def test_crashes_of_workers_leave_no_trace(scene: Scene) -> None:
    """Three SIGKILLs and a worker that sleeps past its session time-out, while events come in of every kind."""
    first, second = scene.start_workers(2)
    count = 50_000
    events = list(sample_events(count, seed=3, invalid=0.01, duplicates=0.01))
    part = count // 5
    with scene.shop(events, per_second=part / 2.5, misplaced=MISPLACED) as shop:

        def reach(share: float) -> None:
            """Let events come in, and return while they still do."""
            shop.allow(int(share * part) + part // 3)
            shop.wait_until_sent(int(share * part))

        reach(0.6)
        first.kill()
        first.start()

        reach(1.6)
        scene.wait_until_past(scene.ends())
        reach(1.9)
        second.kill()
        second.start()

        reach(2.6)
        scene.wait_until_past(scene.ends())
        reach(2.9)
        first.pause()
        reach(3.4)
        scene.wait_until_past(scene.ends())  # the other one has taken over what was its own
        reach(3.6)
        first.resume()

        reach(4.3)
        second.kill()
        second.start()
        shop.finish()
        scene.wait_until_processed()
        expected = judge(scene, shop.sent, reader=first)

    assert expected.outcomes["forwarded"] > 0
    assert expected.outcomes["duplicate"] > 0
    assert expected.letters > count // 200
    assert expected.outcomes["accepted"] > 0.97 * count


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_crash_of_the_broker_leaves_no_trace(own_scene: Scene) -> None:
    """The server is killed three times while events come in; workers outlive it, and go on by themselves."""
    scene = own_scene
    first, _ = scene.start_workers(2)
    events = list(sample_events(20_000, seed=4, invalid=0.01, duplicates=0.01))
    with scene.shop(events, per_second=2_500, misplaced=MISPLACED) as shop:
        for share in (0.2, 0.45, 0.7):
            shop.allow(int((share + 0.15) * len(events)))
            shop.wait_until_sent(int(share * len(events)))
            scene.server.kill()
            scene.server.start()
            shop.wait_until_delivered(int(share * len(events)))
            scene.wait_until_past(scene.ends(), 60)
        shop.finish()
        scene.wait_until_processed(90)
        judge(scene, shop.sent, reader=first)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scene", over(long=["redis", "kafka"]), indirect=True)
def test_a_clean_stop_is_quick_and_loses_nothing(scene: Scene) -> None:
    """SIGTERM under load: gone within 3 s, what it had is committed, and another goes on without a time-out."""
    first, second = scene.start_workers(2)
    events = list(sample_events(6_000, seed=5, invalid=0.01, duplicates=0.01))
    with scene.shop(events, per_second=1_000, misplaced=MISPLACED) as shop:
        shop.allow(6_000)
        shop.wait_until_sent(1_000)
        assert first.stop() <= 3
        shop.wait_until_sent(2_500)
        first.start()
        scene.wait_until_shared(first, second, seconds=20)
        shop.finish()
        scene.wait_until_processed()
        assert max(scene.pauses().values()) < scene.settings.session_timeout
        judge(scene, shop.sent, reader=second)
    assert second.stop() <= 3
    assert first.stop() <= 3


@pytest.mark.long
@pytest.mark.timeout(180)
def test_partitions_are_shared_evenly_and_one_death_stops_only_its_own(scene: Scene) -> None:
    """4 partitions over 3 workers are 2, 1, 1; after a SIGKILL the orphans go on within 10 s, the others within 1 s."""
    workers = scene.start_workers(3)
    events = list(sample_events(12_000, seed=6))
    with scene.shop(events, per_second=600) as shop:
        shop.allow(12_000)
        shop.wait_until_sent(1_800)
        owned = {worker: scene.owned_by(worker) for worker in workers}
        assert sorted(map(len, owned.values())) == [1, 1, 2]
        dead = next(worker for worker, partitions in owned.items() if len(partitions) == 2)
        dead.kill()
        shop.finish()
        scene.wait_until_processed()
        pauses = scene.pauses()
        assert len(pauses) == PARTITIONS
        assert max(pauses[partition] for partition in owned[dead]) <= 10
        assert max(pauses[partition] for partition in pauses if partition not in owned[dead]) <= 1
        judge(scene, shop.sent, reader=next(worker for worker in workers if worker is not dead))
