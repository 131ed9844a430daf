"""A claimed partition on a real broker: who is fenced, what moves together, and what a take-over reads."""

import asyncio
import functools
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.protocol.fetch import FetchRequest
from msgspec.structs import replace

from app.engine.broker import LoadedRows
from app.engine.errors import EngineError, Fenced, Inconsistent, Refused, Unavailable, Unknown
from app.engine.step import EncodedRows, Output
from app.settings import Settings
from app.topics import Topics
from app.transports.kafka import connection, state_log
from app.transports.kafka import lease as lease_module
from app.transports.kafka.knock import knock
from app.transports.kafka.lease import KafkaLease, claim
from app.transports.kafka.provision import ensure_topics
from app.transports.kafka.reader import LATEST, list_offset
from app.transports.kafka.state_records import OFFSET_KEY
from tests.integration.kafka_kit import (
    Transaction,
    committed,
    create_topic,
    delete_records,
    delete_topic,
    holding,
    loaded,
    names,
    numbered,
    produce,
    provisioned,
    read_until,
    settings_for,
    table_of,
    written,
)
from tools.local_kafka import LocalKafka

pytestmark = pytest.mark.usefixtures("nothing_forgotten")

Claim = Callable[[Settings, Topics, int], Any]


def rows(**values: Any) -> EncodedRows:
    """Return changed rows of the table `t`."""
    return [("t", [(key, orjson.dumps(value)) for key, value in values.items()])]


def update(topics: Topics, value: bytes) -> Output:
    """Return an output to `order-updates`."""
    return Output(topics.order_updates, 0, b"c", value)


def letter(topics: Topics, value: bytes) -> Output:
    """Return an output to `dead-letters`."""
    return Output(topics.dead_letters, 0, b"c", value)


class PausedCommit:
    """Holds a lease's commit when everything is written and only the end of the transaction is missing."""

    def __init__(self, lease: KafkaLease) -> None:
        self.reached = asyncio.Event()
        self._go_on = asyncio.Event()
        self._commit = lease._producer.commit_transaction
        lease._producer.commit_transaction = self

    async def __call__(self) -> None:
        """Stand in for the producer's `commit_transaction`."""
        self.reached.set()
        await self._go_on.wait()
        await self._commit()

    def go_on(self) -> None:
        """Let the commit proceed."""
        self._go_on.set()


async def interleaved(settings: Settings, topics: Topics, claim: Claim) -> Fenced | None:
    """Let a second owner take over and count offset 0 while the first one, having counted it too, is about to commit.

    Returns what the first owner's commit ended in.
    """
    former = await claim(settings, topics, 0)
    await loaded(former)
    paused = PausedCommit(former)
    commit = asyncio.create_task(
        former.commit(1, rows(former=1), [update(topics, b"by former"), letter(topics, b"by former")])
    )
    await asyncio.wait_for(paused.reached.wait(), 10)

    owner = await claim(settings, topics, 0)
    await loaded(owner)
    assert owner.next_offset == 0
    await owner.commit(1, rows(owner=1), [update(topics, b"by owner")])
    paused.go_on()
    try:
        await commit
    except Fenced as fenced:
        return fenced
    else:
        return None
    finally:
        await former.release()
        await owner.release()


async def test_a_claim_fences_the_former_owner_and_keeps_its_step_invisible(kafka: LocalKafka) -> None:
    """A step that was written but not committed when somebody else claimed ends in Fenced, and nobody ever sees it."""
    settings, topics = await provisioned(kafka)
    produce(kafka, topics.orders, [(b"c", b"x")])

    fenced = await interleaved(settings, topics, claim)

    assert fenced is not None
    assert set(table_of(kafka, topics.state)) == {b"t/owner", OFFSET_KEY}
    assert [record.value for record in committed(kafka, topics.order_updates)] == [b"by owner"]
    assert committed(kafka, topics.dead_letters) == []
    assert b"by former" in [record.value for record in written(kafka, topics.order_updates)], (
        "it was not written at all"
    )


async def test_without_the_fence_both_steps_would_count(kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above: the same interleaving with a transactional id per owner counts offset 0 twice."""
    settings, topics = await provisioned(kafka)
    produce(kafka, topics.orders, [(b"c", b"x")])

    def unfenced(*, transactional_id: str, **options: Any) -> AIOKafkaProducer:
        return AIOKafkaProducer(transactional_id=f"{transactional_id}-{secrets.token_hex(4)}", **options)

    monkeypatch.setattr(lease_module, "AIOKafkaProducer", unfenced)

    async def claim_without_waiting(settings: Settings, topics: Topics, partition: int) -> KafkaLease:
        lease = await claim(settings, topics, partition)
        # Nobody aborts the other's open transaction, so a load to the end would wait for it: read what is settled.
        monkeypatch.setattr(lease, "load", functools.partial(_settle, lease))
        return lease

    fenced = await interleaved(settings, topics, claim_without_waiting)

    assert fenced is None
    assert {b"t/owner", b"t/former"} <= set(table_of(kafka, topics.state))
    assert len(committed(kafka, topics.order_updates)) == 2


async def _settle(lease: KafkaLease) -> AsyncIterator[LoadedRows]:
    lease._next_offset = 0
    yield LoadedRows([], 0, 0)


async def test_rows_offset_outputs_and_dead_letters_appear_together(kafka: LocalKafka) -> None:
    """Nothing of a step is to be seen before its commit, all of it after, and its next owner goes on behind it."""
    settings, topics = await provisioned(kafka)
    produce(kafka, topics.orders, numbered(3))
    async with holding(settings) as lease:
        paused = PausedCommit(lease)
        commit = asyncio.create_task(lease.commit(3, rows(a=1, b=[2]), [update(topics, b"u"), letter(topics, b"d")]))
        await asyncio.wait_for(paused.reached.wait(), 10)
        before = [
            committed(kafka, topic, settle=False) for topic in (topics.state, topics.order_updates, topics.dead_letters)
        ]
        paused.go_on()
        await commit

    assert before == [[], [], []]
    assert table_of(kafka, topics.state) == {b"t/a": b"1", b"t/b": b"[2]", OFFSET_KEY: b'{"next":3}'}
    assert [record.value for record in committed(kafka, topics.order_updates)] == [b"u"]
    assert [record.value for record in committed(kafka, topics.dead_letters)] == [b"d"]
    async with holding(settings) as after:
        assert after.next_offset == 3


async def test_an_owner_that_gives_up_in_the_middle_leaves_nothing(kafka: LocalKafka) -> None:
    """A step cancelled between its last write and its commit is undone by the next claim."""
    settings, topics = await provisioned(kafka)
    produce(kafka, topics.orders, numbered(2))
    async with holding(settings) as lease:
        await lease.commit(1, rows(a=1), [])
        paused = PausedCommit(lease)
        commit = asyncio.create_task(lease.commit(2, rows(a=2, b=2), [update(topics, b"u")]))
        await asyncio.wait_for(paused.reached.wait(), 10)
        commit.cancel()
        await asyncio.gather(commit, return_exceptions=True)

    async with holding(settings, load=False) as after:
        assert await loaded(after) == {("t", "a"): b"1"}
        assert after.next_offset == 1
    assert committed(kafka, topics.order_updates) == []


DIES_BEFORE_ITS_COMMIT = """
import asyncio, os, signal, sys
from app.engine.step import Output
from app.settings import Settings
from tests.integration.kafka_kit import loaded, names
from app.transports.kafka.lease import claim

async def main(settings):
    topics = names(settings)
    lease = await claim(settings, topics, 0)
    await loaded(lease)
    async def dies():
        os.kill(os.getpid(), signal.SIGKILL)
    lease._producer.commit_transaction = dies
    await lease.commit(2, [("t", [("a", b"2")])], [Output(topics.order_updates, 0, b"c", b"u")])

asyncio.run(main(Settings.model_validate_json(sys.argv[1])))
"""


async def test_an_owner_that_is_killed_in_the_middle_leaves_nothing(kafka: LocalKafka) -> None:
    """The step of a process that got SIGKILL between its last write and its commit is undone by the next claim."""
    settings, topics = await provisioned(kafka)
    produce(kafka, topics.orders, numbered(2))
    async with holding(settings) as lease:
        await lease.commit(1, rows(a=1), [])

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DIES_BEFORE_ITS_COMMIT, settings.model_dump_json()
    )
    assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGKILL
    assert b"u" in [record.value for record in written(kafka, topics.order_updates)], (
        "it died too early to prove anything"
    )

    async with holding(settings, load=False) as after:
        assert await loaded(after) == {("t", "a"): b"1"}
        assert after.next_offset == 1
    assert committed(kafka, topics.order_updates) == []


async def test_a_refused_record_undoes_its_whole_step(kafka: LocalKafka) -> None:
    """A record larger than its topic takes is an error that says so, and nothing else of its step is committed."""
    settings = settings_for(kafka)
    topics = names(settings)
    create_topic(kafka, topics.order_updates, max_message_bytes="2000")
    await ensure_topics(settings, topics)
    produce(kafka, topics.orders, numbered(2))
    async with holding(settings) as lease:
        await lease.commit(1, rows(a=1), [update(topics, b"small")])
        with pytest.raises(Refused, match=topics.order_updates):
            await lease.commit(2, rows(a=2, b=2), [letter(topics, b"d"), update(topics, b"large" * 1000)])

    async with holding(settings, load=False) as after:
        assert await loaded(after) == {("t", "a"): b"1"}
        assert after.next_offset == 1
    assert [record.value for record in committed(kafka, topics.order_updates)] == [b"small"]
    assert committed(kafka, topics.dead_letters) == []


NO_KEY_FOR_COMPACTION = ({"cleanup_policy": "compact"}, {"key": None}, Unknown, "the broker has a fault")
TOO_FAR_AHEAD = (
    *({"message_timestamp_type": "CreateTime"}, {"timestamp": 1 << 42}),
    *(Refused, r"InvalidTimestamp.*clock of this machine"),
)


@pytest.mark.parametrize(("config", "change", "error", "words"), [NO_KEY_FOR_COMPACTION, TOO_FAR_AHEAD])
async def test_a_record_refused_for_any_other_reason_undoes_its_whole_step_too(
    kafka: LocalKafka, config: dict[str, str], change: dict[str, Any], error: type[EngineError], words: str
) -> None:
    """The broker would commit the rest: each answer counts."""
    settings = settings_for(kafka)
    topics = names(settings)
    create_topic(kafka, topics.order_updates, 1, **config)
    await ensure_topics(settings, topics)
    async with holding(settings) as lease:
        with pytest.raises(error, match=words):
            await lease.commit(0, rows(a=1), [replace(update(topics, b"u"), **change), letter(topics, b"d")])

    async with holding(settings, load=False) as after:
        assert await loaded(after) == {}
    assert committed(kafka, topics.dead_letters) == []


async def test_a_worker_whose_clock_is_ahead_can_write_to_the_topics_that_are_its_own(kafka: LocalKafka) -> None:
    """The broker sets the time of their records."""
    settings, topics = await provisioned(kafka)
    async with holding(settings) as lease:
        own = [_of_tomorrow(update(topics, b"u")), _of_tomorrow(letter(topics, b"d"))]
        await lease.commit(0, rows(a=1), own)
    for topic in (topics.order_updates, topics.dead_letters):
        (record,) = committed(kafka, topic)
        assert abs(record.timestamp / 1000 - time.time()) < 600


def _of_tomorrow(output: Output) -> Output:
    return replace(output, timestamp=int((time.time() + 86_400) * 1000))


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_what_is_written_can_be_read_with_any_client(kafka: LocalKafka, compression: str) -> None:
    """Key, value, headers and a forwarded record's time arrive as they were given, with every compression."""
    settings, topics = await provisioned(kafka, kafka_compression=compression)
    an_hour_ago = int(time.time() * 1000) - 3_600_000  # much older, and the broker's retention may be first to see it
    outputs = [
        Output(
            topics.order_updates,
            0,
            None,
            b"no key",
            [("h", b"\x00\xff"), ("h", b"again"), ("empty", b"")],
        ),
        Output(topics.order_updates, 0, b"no value", None),
        Output(topics.order_updates, 0, b"", b""),
        Output(topics.orders, 0, None, b"forwarded", [], an_hour_ago),
    ]
    async with holding(settings) as lease:
        await lease.commit(0, rows(a="ä" * 500), outputs)

    seen = committed(kafka, topics.order_updates)
    assert [(record.key, record.value) for record in seen] == [(None, b"no key"), (b"no value", None), (b"", b"")]
    assert seen[0].headers == (("h", b"\x00\xff"), ("h", b"again"), ("empty", b""))
    assert [record.timestamp for record in committed(kafka, topics.orders)] == [an_hour_ago]
    assert orjson.loads(table_of(kafka, topics.state)[b"t/a"]) == "ä" * 500


async def test_a_record_that_came_compressed_can_be_passed_on_whatever_its_size(kafka: LocalKafka) -> None:
    """Else one small record of 120 MB of nothing, sent by anybody, would stop every worker that meets it, for ever."""
    settings, topics = await provisioned(kafka)
    big = bytes(120 << 20)
    produce(
        kafka,
        topics.orders,
        [(b"a", b"1"), (b"b", big), (b"c", b"3")],
        compression_type="zstd",
        message_max_bytes=300 << 20,
    )
    heavy = [("h", bytes(40 << 20)), ("none", None), ("i", b"x")]
    async with holding(settings) as lease:
        batches = await read_until(lease.read, lambda records: len(records) == 3)
        records = [record for batch in batches for record in batch.records]
        letters = [Output(topics.dead_letters, 0, r.key, r.value, [("h", b"1"), ("i", b"2")]) for r in records]
        lease.write(letters)
        bare = Output(topics.dead_letters, 0, None, None)
        odd = [Output(topics.dead_letters, 0, b"d", b"4", heavy), bare]
        await lease.commit(3, rows(a=1), odd)
    seen = committed(kafka, topics.dead_letters)
    assert [record.key for record in seen] == [b"a", b"b", b"c", b"d", None]
    assert [len(record.value or b"") for record in seen] == [1, 120 << 20, 1, 1, 0]
    assert {name: len(content or b"") for name, content in seen[3].headers} == {"h": 40 << 20, "none": 0, "i": 1}


async def test_a_step_that_outlasts_the_transaction_time_out_is_fenced(
    kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner that was paused in its step for too long finds it aborted by the broker, and may claim again."""
    monkeypatch.setattr(lease_module, "TRANSACTION_TIMEOUT_MS", 1_000)
    settings, topics = await provisioned(kafka)
    produce(kafka, topics.orders, numbered(1))
    async with holding(settings) as lease:
        paused = PausedCommit(lease)
        commit = asyncio.create_task(lease.commit(1, rows(a=1), [update(topics, b"late")]))
        await asyncio.wait_for(paused.reached.wait(), 10)
        # The broker's marker, which follows the abort, is the only thing to see of it from outside.
        lease._client.add_topic(topics.order_updates)
        end = await list_offset(lease._client, topics.order_updates, 0, LATEST, 10)
        async with asyncio.timeout(20):
            while await list_offset(lease._client, topics.order_updates, 0, LATEST, 10) == end:
                pass
        paused.go_on()
        with pytest.raises(Fenced):
            await commit
    async with holding(settings, load=False) as after:
        assert await loaded(after) == {}


async def test_a_server_that_hangs_does_not_hide_another_that_answers(
    kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several addresses one that answers is enough, whichever is tried first."""
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT_MS", 300)
    monkeypatch.setattr(lease_module, "REQUEST_TIMEOUT_MS", 300)
    settings, _ = await provisioned(kafka, broker_timeout=15.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"kafka://127.0.0.1:{silent.getsockname()[1]}"
        settings = settings.model_copy(update={"broker": f"{address};{settings.broker}"})
        await knock(settings, 2.0)
        for _ in range(6):
            async with holding(settings) as lease:
                await lease.commit(0, rows(a=1), [])


# --- what a take-over reads ------------------------------------------------------------------------------------------


async def test_an_empty_state_starts_at_the_first_order_there_is(kafka: LocalKafka) -> None:
    """Without any state a worker counts from the oldest record that is still in the topic."""
    settings, topics = await provisioned(kafka)
    produce(kafka, topics.orders, numbered(10))
    delete_records(kafka, topics.orders, 4)
    async with holding(settings, load=False) as lease:
        assert await loaded(lease) == {}
        assert lease.next_offset == 4
        batch = await lease.read(100)
        assert [record.offset for record in batch.records] == [4, 5, 6, 7, 8, 9]


async def test_the_newest_version_of_a_row_is_loaded_whatever_lies_around_it(kafka: LocalKafka) -> None:
    """Older versions, deleted rows, rows of unknown tables, aborted transactions and markers make no difference."""
    settings, topics = await provisioned(kafka)
    produce(kafka, topics.orders, numbered(9))
    async with holding(settings) as lease:
        for step in range(1, 6):
            await lease.commit(step, [*rows(same=step, **{f"own{step}": step}), ("unknown", [("x", b"1")])], [])
    foreign = Transaction(kafka, secrets.token_hex(4))
    foreign.write(topics.state, [(b"t/own2", None), (b"t/slash/in/key", b"7"), ("t/käse".encode(), b"8")])
    foreign.commit()
    foreign.write(topics.state, [(b"t/same", b"666"), (b"t/own1", None), (OFFSET_KEY, b'{"next":666}')])
    foreign.abort()

    async with holding(settings, load=False) as lease:
        found = await loaded(lease)
        assert found == {
            ("t", "same"): b"5",
            **{("t", f"own{step}"): b"%d" % step for step in (1, 3, 4, 5)},
            ("t", "slash/in/key"): b"7",
            ("t", "käse"): b"8",
            ("unknown", "x"): b"1",
        }
        assert lease.next_offset == 5


@pytest.mark.parametrize("end", ["commit", "abort"])
async def test_markers_at_the_end_do_not_hide_the_state_before_them(kafka: LocalKafka, end: str) -> None:
    """Loading goes on to where the partition ends, not to its last record: many times, as races show only at times."""
    settings, topics = await provisioned(kafka)
    async with holding(settings) as lease:
        await lease.commit(0, rows(a=1), [])
    foreign = Transaction(kafka, secrets.token_hex(4))
    for number in range(5):
        foreign.write(topics.state, [(b"t/b", b"%d" % number)])
        getattr(foreign, end)()
        async with holding(settings, load=False) as lease:
            assert await loaded(lease) == {("t", "a"): b"1"} | ({("t", "b"): b"%d" % number} if end == "commit" else {})
            assert lease.next_offset == 0


async def test_a_state_of_nothing_but_aborted_rows_is_empty(kafka: LocalKafka) -> None:
    """Rows that were never committed are no state."""
    settings, topics = await provisioned(kafka)
    foreign = Transaction(kafka, secrets.token_hex(4))
    foreign.write(topics.state, [(b"t/a", b"1"), (OFFSET_KEY, b'{"next":1}')])
    foreign.abort()
    async with holding(settings, load=False) as lease:
        assert await loaded(lease) == {}
        assert lease.next_offset == 0


async def test_a_commit_that_slips_in_just_before_the_fence_is_loaded(
    kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was read before the claim is used: a slow owner's last commit would be counted twice."""
    settings, topics = await provisioned(kafka)
    produce(kafka, topics.orders, numbered(2))
    former = await claim(settings, topics, 0)
    await loaded(former)
    await former.commit(1, rows(a=1), [])

    class LastMoment(AIOKafkaProducer):  # type: ignore[misc]
        async def start(self) -> None:
            await former.commit(2, rows(a=2), [update(topics, b"u")])
            await super().start()

    monkeypatch.setattr(lease_module, "AIOKafkaProducer", LastMoment)
    monkeypatch.setattr(state_log, "FETCH_BYTES", 100)  # or one fetch brings more than was asked for
    async with holding(settings, load=False) as owner:
        assert await loaded(owner) == {("t", "a"): b"2"}
        assert owner.next_offset == 2
    await former.release()


async def test_nothing_is_fetched_past_the_end_of_the_state(kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch that waits there for records would hold up what follows on its connection: 200 ms of each take-over."""
    settings, topics = await provisioned(kafka)
    async with holding(settings) as lease:
        await lease.commit(0, rows(a=1), [])
    async with holding(settings, load=False) as lease:
        end = await list_offset(lease._client, topics.state, 0, LATEST, 5)
        fetched: list[int] = []
        send = lease._client.send

        async def noted(node: int, request: Any, **more: Any) -> Any:
            if isinstance(request, FetchRequest):
                fetched.append(request._topics[0][1][0][1])
            return await send(node, request, **more)

        monkeypatch.setattr(lease._client, "send", noted)
        async for _ in lease.load():
            await asyncio.sleep(0)
        assert fetched
        assert max(fetched) < end


async def test_a_transaction_that_hangs_in_the_state_is_named(kafka: LocalKafka) -> None:
    """Somebody else's open transaction cannot be read past, so the load gives up in time and says where it stands."""
    settings, topics = await provisioned(kafka, broker_timeout=1.5)
    foreign = Transaction(kafka, secrets.token_hex(4))
    foreign.write(topics.state, [(b"t/a", b"1")])
    try:
        async with holding(settings, load=False) as lease:
            with pytest.raises(Unavailable, match=rf"{topics.state}\[0\].*a transaction hangs"):
                await loaded(lease)
    finally:
        foreign.abort()


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([(b"t/a", b"1")], id="rows without an offset"),
        pytest.param([(b"t/a", b"1"), (OFFSET_KEY, None)], id="deleted offset"),
        pytest.param([(b"t/a", b"1"), (OFFSET_KEY, b"soon")], id="offset that is not JSON"),
        pytest.param([(b"t/a", b"1"), (OFFSET_KEY, b'{"next":"1"}')], id="offset that is no number"),
        pytest.param([(b"\xff\xfe/a", b"1"), (OFFSET_KEY, b'{"next":0}')], id="key that is not text"),
    ],
)
async def test_a_damaged_state_is_refused(kafka: LocalKafka, records: list[tuple[bytes | None, bytes | None]]) -> None:
    """A state topic with something else in it stops the worker with its name, not with a riddle."""
    settings, topics = await provisioned(kafka)
    produce(kafka, topics.state, records)
    async with holding(settings, load=False) as lease:
        with pytest.raises(Inconsistent, match=rf"{topics.state}\[0\]"):
            await loaded(lease)


# --- offset and source disagree ---------------------------------------------------------------------------------------


async def test_an_orders_topic_that_was_made_anew_is_named(kafka: LocalKafka) -> None:
    """A state that counted further than the topic goes belongs to another topic; the line says what to do."""
    settings, topics = await provisioned(kafka)
    produce(kafka, topics.orders, numbered(5))
    async with holding(settings) as lease:
        await lease.commit(5, rows(a=1), [])
    delete_topic(kafka, topics.orders)
    create_topic(kafka, topics.orders)
    produce(kafka, topics.orders, numbered(2))
    async with holding(settings, load=False) as lease:
        with pytest.raises(
            Inconsistent, match=rf"{topics.orders}\[0\] ends at offset 2, but 5 .*{topics.state}.*ORDERS_APP_ID"
        ):
            await loaded(lease)


async def test_orders_deleted_before_they_were_counted_stop_the_worker(kafka: LocalKafka) -> None:
    """Losing records is never silent: the line says how many and which setting goes on without them."""
    settings, topics = await provisioned(kafka)
    produce(kafka, topics.orders, numbered(10))
    async with holding(settings) as lease:
        await lease.commit(3, rows(a=1), [])
    delete_records(kafka, topics.orders, 7)
    async with holding(settings, load=False) as lease:
        with pytest.raises(Inconsistent, match=rf"{topics.orders}\[0\]: 4 records .*ORDERS_ON_LOST_RECORDS=continue"):
            await loaded(lease)


async def test_orders_deleted_before_they_were_counted_are_left_out_if_the_setting_says_so(
    kafka: LocalKafka, caplog: pytest.LogCaptureFixture
) -> None:
    """With ORDERS_ON_LOST_RECORDS=continue the worker goes on at the first record there is, and logs the loss."""
    settings, topics = await provisioned(kafka, on_lost_records="continue")
    produce(kafka, topics.orders, numbered(10))
    async with holding(settings) as lease:
        await lease.commit(3, rows(a=1), [])
    delete_records(kafka, topics.orders, 7)
    async with holding(settings, load=False) as lease:
        assert await loaded(lease) == {("t", "a"): b"1"}
        assert lease.next_offset == 7
    assert any("4 records were deleted" in line for line in caplog.messages)


@pytest.mark.parametrize("policy", ["stop", "continue"])
async def test_orders_deleted_under_a_running_worker_are_treated_alike(kafka: LocalKafka, policy: str) -> None:
    """Records that vanish after the load, ahead of the reader, stop it or are left out by the same setting."""
    settings, topics = await provisioned(kafka, on_lost_records=policy)
    produce(kafka, topics.orders, numbered(10))
    async with holding(settings) as lease:
        delete_records(kafka, topics.orders, 7)
        if policy == "stop":
            with pytest.raises(
                Inconsistent, match=rf"{topics.orders}\[0\]: 7 records .*ORDERS_ON_LOST_RECORDS=continue"
            ):
                await lease.read(100)
        else:
            batch = await lease.read(100)
            assert (batch.first_offset, batch.next_offset) == (7, 10)
            assert [record.offset for record in batch.records] == [7, 8, 9]


# --- fenced at other moments, and released ----------------------------------------------------------------------------


async def test_a_fence_is_seen_however_the_client_reports_it(kafka: LocalKafka) -> None:
    """The client may say only that it is in no transaction: many times, as that depends on which answer comes first."""
    settings, topics = await provisioned(kafka)
    former = await claim(settings, topics, 0)
    for _ in range(12):
        await loaded(former)
        owner = await claim(settings, topics, 0)
        with pytest.raises(Fenced):
            await former.commit(0, rows(a=1), [update(topics, b"u"), letter(topics, b"d")])
        await former.release()
        former = owner
    await former.release()


async def test_a_partition_that_was_idle_for_too_long_can_be_claimed_again(own_broker: LocalKafka) -> None:
    """The broker forgets transactional ids that were not used for long (a week, by default): that is no fatal error."""
    settings, topics = await provisioned(own_broker)
    async with holding(settings) as lease:
        await lease.commit(0, rows(a=1), [])
        with pytest.raises(Fenced):
            await commit_now_and_then(lease, topics)
    async with holding(settings, load=False) as after:
        assert ("t", "a") in await loaded(after)
        await after.commit(0, rows(a=3), [])


async def commit_now_and_then(lease: KafkaLease, topics: Topics) -> None:
    """Commit with pauses that are longer than the broker remembers an idle transactional id."""
    async with asyncio.timeout(30):
        while True:
            await asyncio.sleep(3.0)
            await lease.commit(0, rows(a=2), [update(topics, b"u")])
