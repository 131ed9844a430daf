"""The order that the code keeps holds every promise in every state, and no state is a dead end."""

import gc
from collections.abc import Iterator

import pytest

from app.settings import Settings
from app.transports.kafka.lease import COMMIT_SHARE, TRANSACTION_TIMEOUT_MS
from tests.model.kafka import Kafka
from tests.model.partition import Broker, Wrong
from tests.model.promises import ALL_BUT_SHOWN, shown_was_committed
from tests.model.redis import Redis
from tests.model.world import Model

ANY = None
"""Any number of faults."""

LANE = {"assign", "claim", "load", "read", "publish", "confirm", "release"}
KAFKA = LANE | {"_send", "commit_transaction", "WriteTxnMarkers", "EndTxn", "transaction_timeout_ms"}
REDIS = LANE | {"commit"}
ONE_FAULT = {"crash", "pause"}
MORE_FAULTS = ONE_FAULT | {"stopped"}
OUTCOMES = {"Fenced", "Unknown: applied", "Unknown: under way", "Unknown: not applied", "yes", "no"}
"""These, and more, must be among what led to the states."""

LONG = (pytest.mark.long, pytest.mark.timeout(600))


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    """States hold no cycles, and there are many of them."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    ("broker", "records", "most_faults", "names", "at_least"),
    [
        pytest.param(Kafka(), (2,), ANY, KAFKA | MORE_FAULTS, 25_000, id="kafka, one partition, any number of faults"),
        pytest.param(Kafka(), (2, 2), 1, KAFKA | ONE_FAULT, 80_000, id="kafka, two partitions, one fault"),
        pytest.param(Redis(), (3,), ANY, REDIS | MORE_FAULTS, 6_000, id="redis, one partition, any number of faults"),
        pytest.param(Redis(), (2, 2), 1, REDIS | ONE_FAULT, 5_500, id="redis, two partitions, one fault"),
        pytest.param(
            Redis(), (1, 1), 2, REDIS | MORE_FAULTS | {"join"}, 25_000, id="redis, two partitions, two faults"
        ),
        pytest.param(
            *(Kafka(), (1, 1), 2, KAFKA | MORE_FAULTS | {"join"}, 300_000),
            id="kafka, two partitions, two faults",
            marks=LONG,
        ),
        pytest.param(
            *(Redis(), (2, 2), 2, REDIS | MORE_FAULTS | {"join"}, 150_000),
            id="redis, two partitions, two faults, more records",
            marks=LONG,
        ),
        pytest.param(
            *(Redis(), (1, 1), ANY, REDIS | MORE_FAULTS | {"join"}, 300_000),
            id="redis, two partitions, any number of faults",
            marks=LONG,
        ),
    ],
)
def test_every_promise_holds_and_nothing_is_wedged(
    broker: Broker, records: tuple[int, ...], most_faults: int | None, names: set[str], at_least: int
) -> None:
    """In every state that two workers reach, and every kind of move is among what led there."""
    found = Model(broker, records).search(most_faults=most_faults)
    assert found.trace is None, found.told()
    assert found.names() == names
    assert {move.outcome for move in found.moves} >= OUTCOMES
    assert found.states >= at_least


def test_a_redis_that_loses_its_last_writes_keeps_all_promises_but_one() -> None:
    """Rows, offset and outputs fit the records that are left; but what readers were shown may be gone."""
    model = Model(Redis(everysec=True), (0,))
    lost = model.search(shown_was_committed)
    assert lost.trace is not None
    assert lost.trace[-1].name == "restart", lost.told()
    found = model.search(*ALL_BUT_SHOWN, most_faults=2)
    assert found.trace is None, found.told()
    assert found.names() == REDIS | MORE_FAULTS | {"append", "fsync", "restart"}
    assert found.states >= 10_000


@pytest.mark.parametrize(
    "wrong", [Wrong.NO_FENCE, Wrong.NO_EXPECTED_OFFSET, Wrong.COMMIT_TRIED_AGAIN, Wrong.OFFSET_READ_BEFORE_CLAIM]
)
def test_on_redis_it_takes_two_mistakes(wrong: Wrong) -> None:
    """Token and expected offset stand in for each other: one of these alone breaks nothing (two: see wrong orders)."""
    found = Model(Redis(wrong), (2,)).search()
    assert found.trace is None, found.told()


def test_a_hanging_transaction_is_aborted_before_patience_ends() -> None:
    """A lane that loads waits for its end, as long as the broker may be away. The model takes that for enough."""
    patience_ms = Settings.model_fields["broker_timeout"].default * 1000
    assert patience_ms * COMMIT_SHARE < TRANSACTION_TIMEOUT_MS < patience_ms
