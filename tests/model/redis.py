"""A model of Redis: one script at a time, which checks the token and the expected offset before it writes."""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.lane import reclaim
from tests.model.partition import At, Moves, Part, Stored, Write, Wrong
from tests.model.search import Move


class Late(NamedTuple):
    """A commit under way whose sender has given up."""

    expected: int
    write: Write


class Held(NamedTuple):
    """The lease. `token_of` is the worker whose token is the newest, None: nobody's that lives.

    `synced` is what a restart of the server leaves, None: all of it; `synced_token_of` whose token that has; `sent`
    counts the records ever sent; `cut` is whose connection a restart has cut since the last claim.
    """

    token_of: int | None = None
    late: Late | None = None
    synced: Stored | None = None
    synced_token_of: int | None = None
    sent: int = 0
    cut: tuple[bool, bool] = (False, False)


class Redis:
    """See `tests.model.partition.Broker`. With `everysec` a server that restarts has lost what was not synced."""

    tells_always = False
    commit_begins = At.COMMIT
    claim_tells_offset = True

    def __init__(self, *wrong: Wrong, everysec: bool = False, records: int = 2) -> None:
        self.wrong = frozenset(wrong)
        self._everysec = everysec
        self._records = records

    def start(self) -> Held:
        """Nobody's; of what may be lost, nothing is there yet."""
        return Held(synced=Stored(())) if self._everysec else Held()

    def mirrored(self, held: Held) -> Held:
        """The other worker's token."""
        token_of, synced = (None if of is None else 1 - of for of in (held.token_of, held.synced_token_of))
        return held._replace(token_of=token_of, synced_token_of=synced, cut=held.cut[::-1])

    def claim(self, part: Part, worker: int) -> Part:
        """A new token: a commit under way comes too late, unless nobody looks at tokens."""
        late = part.held.late if Wrong.NO_FENCE in self.wrong else None
        cut = (part.held.cut[0] and worker == 1, part.held.cut[1] and worker == 0)
        return part._replace(held=part.held._replace(token_of=worker, late=late, cut=cut))

    def connected(self, part: Part, worker: int) -> bool:
        """Until the server restarts; a lease does not outlive its connection."""
        return not part.held.cut[worker] or Wrong.LEASE_OUTLIVES_CONNECTION in self.wrong

    def may_load(self, part: Part) -> bool:
        """Always: what can be seen is committed."""
        return True

    def commit(self, part: Part, worker: int, me: str) -> Moves:
        """One call, or the calls of a wrong order."""
        lane = part.lanes[worker]
        assert lane.step is not None
        if refused := self._refused(part, worker):
            fenced = reclaim(self.released(part, worker), worker, self.wrong, fenced=True)
            yield Move("commit", me, refused), fenced
            return
        writes = lane.step.writes(self.wrong)
        further = At.COMMIT if lane.written + 1 < len(writes) else At.PUBLISH
        done = lane._replace(at=further, written=lane.written + 1)
        yield Move("commit", me), self._applied(part, worker).lane(worker, done)
        for outcome, after in self.dropped(part, worker):
            if Wrong.COMMIT_TRIED_AGAIN in self.wrong:
                again = after._replace(held=after.held._replace(token_of=worker))
                yield Move("commit", me, f"Unknown: {outcome}", fault=True), again
            else:
                yield Move("commit", me, f"Unknown: {outcome}", fault=True), reclaim(after, worker, self.wrong)

    def _refused(self, part: Part, worker: int) -> str:
        if not self.connected(part, worker):
            return "Unknown: no connection"
        if not self._has_token(part, worker):
            return "Fenced"
        return "" if self._expected(part, worker) else "Fenced: stale"

    def _has_token(self, part: Part, worker: int) -> bool:
        return part.held.token_of == worker or Wrong.NO_FENCE in self.wrong

    def _expected(self, part: Part, worker: int) -> bool:
        lane = part.lanes[worker]
        matches = lane.written > 0 or part.stored.next_offset == lane.next_offset
        return matches or Wrong.NO_EXPECTED_OFFSET in self.wrong

    def _applied(self, part: Part, worker: int) -> Part:
        return part._replace(stored=part.stored.take(self._write(part, worker)))

    def _write(self, part: Part, worker: int) -> Write:
        lane = part.lanes[worker]
        assert lane.step is not None
        return lane.step.writes(self.wrong)[lane.written]

    def dropped(self, part: Part, worker: int) -> Iterator[tuple[str, Part]]:
        """A call may have been applied, or be applied later, or never (`release` overtook it)."""
        mine = self.released(part, worker)
        if part.lanes[worker].at is At.COMMIT and self._has_token(part, worker):
            if self._expected(part, worker):
                yield "applied", self._applied(mine, worker)
            late = Late(part.lanes[worker].next_offset, self._write(part, worker))
            yield "under way", mine._replace(held=mine.held._replace(late=late))
        yield "not applied", mine

    def released(self, part: Part, worker: int) -> Part:
        """Nobody's, if it was this worker's."""
        ours = part.held.token_of == worker
        return part._replace(held=part.held._replace(token_of=None)) if ours else part

    def alone(self, part: Part) -> Moves:
        """A late commit comes; with `everysec`: records are sent, the file is synced, the server restarts."""
        held: Held = part.held
        if held.late is not None:
            over = part._replace(held=held._replace(late=None))
            matches = part.stored.next_offset == held.late.expected or Wrong.NO_EXPECTED_OFFSET in self.wrong
            after = over._replace(stored=part.stored.take(held.late.write)) if matches else over
            yield Move("commit", "broker", "late"), after
        if not self._everysec:
            return
        if held.sent < self._records:
            stored = part.stored._replace(source=(*part.stored.source, held.sent))
            yield Move("append", "broker"), part._replace(stored=stored, held=held._replace(sent=held.sent + 1))
        owner = held.token_of if Wrong.LEASE_OUTLIVES_CONNECTION in self.wrong else None
        synced = held._replace(synced=part.stored, synced_token_of=owner)
        yield Move("fsync", "broker"), part._replace(held=synced)
        kept = owner if owner == held.synced_token_of else None
        assert held.synced is not None
        after = part._replace(stored=held.synced, held=held._replace(token_of=kept, late=None, cut=(True, True)))
        yield Move("restart", "broker", "what was not synced is lost", fault=True), after

    def committed(self, part: Part) -> Stored:
        """What is there."""
        return part.stored
