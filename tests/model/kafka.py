"""A model of Kafka: a transaction as its coordinator and the logs of state and outputs see it.

It promises less than Kafka does: a claim is answered before the markers of the transaction that it ends are written.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from tests.model.lane import reclaim
from tests.model.partition import At, Ids, Moves, Part, Stored, Write, Wrong
from tests.model.search import Move


class Status(StrEnum):
    """Where a transaction is, in the coordinator's words (Complete… is Empty here)."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"


class Producer(NamedTuple):
    """A transactional id. `epoch_of` is the worker whose epoch is the newest, None: nobody's that lives.

    `state` and `outputs` are the transaction's records that have no marker after them yet in the log of either;
    `late` is whether an EndTxn is under way whose sender has given up.
    """

    epoch_of: int | None = None
    status: Status = Status.EMPTY
    state: Write | None = None
    outputs: Ids = ()
    late: bool = False

    def ended(self, status: Status) -> "Producer":
        """Return it with the open transaction decided; one of which nothing was appended is over."""
        appended = self.state is not None or bool(self.outputs)
        return self._replace(status=status if appended else Status.EMPTY, late=False)

    def aborted(self) -> "Producer":
        """Return it with an open transaction aborted; one that is decided stays so."""
        return self.ended(Status.PREPARE_ABORT) if self.status is Status.ONGOING else self._replace(late=False)


class Kafka:
    """See `tests.model.partition.Broker`."""

    tells_always = True
    commit_begins = At.SEND
    claim_tells_offset = False

    def __init__(self, *wrong: Wrong) -> None:
        self.wrong = frozenset(wrong)

    def start(self) -> tuple[Producer, ...]:
        """One transactional id for the partition: that is the fence."""
        return (Producer(), Producer()) if Wrong.NO_FENCE in self.wrong else (Producer(),)

    def mirrored(self, held: tuple[Producer, ...]) -> tuple[Producer, ...]:
        """The other worker's epoch, and its transactional id if each has one."""
        swapped = tuple(p if p.epoch_of is None else p._replace(epoch_of=1 - p.epoch_of) for p in held)
        return swapped[::-1]

    def claim(self, part: Part, worker: int) -> Part:
        """`init_transactions`: a new epoch, and the open transaction is aborted if its commit was not asked for."""
        return _with(part, worker, _of(part, worker).aborted()._replace(epoch_of=worker))

    def connected(self, part: Part, worker: int) -> bool:
        """Always: reads are repeated, and a worker that cannot read for long exits as if it crashed."""
        return True

    def may_load(self, part: Part) -> bool:
        """Up to the log's end there may be no open transaction; the last visible record would always do."""
        open_ones = any(producer.state is not None for producer in part.held)
        return not open_ones or Wrong.LOADED_TO_LAST_VISIBLE in self.wrong

    def commit(self, part: Part, worker: int, me: str) -> Moves:
        """Append to the state, to the outputs, then `commit_transaction`."""
        lane, producer = part.lanes[worker], _of(part, worker)
        assert lane.step is not None
        name = "_send" if lane.at is At.SEND else "commit_transaction"
        if producer.epoch_of != worker:
            yield Move(name, me, "Fenced"), reclaim(part, worker, self.wrong, fenced=True)
            return
        if lane.at is At.SEND:
            if producer.status in {Status.PREPARE_COMMIT, Status.PREPARE_ABORT}:
                return  # CONCURRENT_TRANSACTIONS: the last one has not all its markers
            write = lane.step.writes(self.wrong)[lane.written]
            if producer.state is None:
                sent = producer._replace(status=Status.ONGOING, state=write)
            else:
                sent = producer._replace(outputs=write.outputs)
            ready = sent.state is not None and sent.outputs == write.outputs
            after = _with(part, worker, sent)
            yield Move(name, me), after.lane(worker, lane._replace(at=At.COMMIT)) if ready else after
        else:
            written = lane.written + 1
            further = At.SEND if written < len(lane.step.writes(self.wrong)) else At.PUBLISH
            after = _with(part, worker, producer.ended(Status.PREPARE_COMMIT))
            yield Move(name, me), after.lane(worker, lane._replace(at=further, written=written))
        for outcome, after in self.dropped(part, worker):
            if Wrong.COMMIT_TRIED_AGAIN in self.wrong:
                again = after.lane(worker, lane._replace(at=At.SEND))
                yield Move(name, me, f"Unknown: {outcome}", fault=True), again
            else:
                yield Move(name, me, f"Unknown: {outcome}", fault=True), reclaim(after, worker, self.wrong)

    def dropped(self, part: Part, worker: int) -> Iterator[tuple[str, Part]]:
        """An EndTxn may have arrived, or arrive later; all else will be aborted."""
        producer = _of(part, worker)
        mine = part if Wrong.COMMIT_TRIED_AGAIN in self.wrong else self.released(part, worker)
        if part.lanes[worker].at is At.COMMIT and producer.epoch_of == worker:
            kept = _of(mine, worker)
            yield "applied", _with(mine, worker, kept.ended(Status.PREPARE_COMMIT))
            yield "under way", _with(mine, worker, kept._replace(late=kept.status is Status.ONGOING))
        else:
            yield "not applied", mine

    def released(self, part: Part, worker: int) -> Part:
        """Only this side's: the transaction stays open."""
        producer = _of(part, worker)
        return _with(part, worker, producer._replace(epoch_of=None)) if producer.epoch_of == worker else part

    def alone(self, part: Part) -> Moves:
        """Markers are written, log by log; a late EndTxn comes; the coordinator aborts what stays open too long."""
        for slot, producer in enumerate(part.held):
            if producer.status is Status.ONGOING:
                out, in_use = producer.aborted()._replace(epoch_of=None), producer.epoch_of is not None
                yield Move("transaction_timeout_ms", "broker", fault=in_use), _with(part, slot, out)
                if producer.late:
                    yield Move("EndTxn", "broker", "late"), _with(part, slot, producer.ended(Status.PREPARE_COMMIT))
            elif producer.status is not Status.EMPTY:
                yield from self._markers(part, slot, producer)

    def _markers(self, part: Part, slot: int, producer: Producer) -> Moves:
        commits = producer.status is Status.PREPARE_COMMIT
        if producer.state is not None:
            write = producer.state._replace(outputs=())
            stored = part.stored.take(write) if commits else part.stored
            after = _with(part._replace(stored=stored), slot, _marked(producer._replace(state=None)))
            yield Move("WriteTxnMarkers", "broker", f"state, {producer.status}"), after
        if producer.outputs:
            stored = part.stored.take(Write(None, None, producer.outputs)) if commits else part.stored
            after = _with(part._replace(stored=stored), slot, _marked(producer._replace(outputs=())))
            yield Move("WriteTxnMarkers", "broker", f"outputs, {producer.status}"), after

    def committed(self, part: Part) -> Stored:
        """With what is decided and has no marker yet."""
        stored = part.stored
        for producer in part.held:
            if producer.status is Status.PREPARE_COMMIT:
                write = producer.state or Write(None, None, ())
                stored = stored.take(write._replace(outputs=producer.outputs))
        return stored


def _marked(producer: Producer) -> Producer:
    return producer if producer.state or producer.outputs else producer._replace(status=Status.EMPTY)


def _of(part: Part, worker: int) -> Producer:
    producer: Producer = part.held[worker % len(part.held)]
    return producer


def _with(part: Part, worker: int, producer: Producer) -> Part:
    slot = worker % len(part.held)
    return part._replace(held=(*part.held[:slot], producer, *part.held[slot + 1 :]))
