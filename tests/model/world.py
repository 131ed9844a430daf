"""Two workers, some partitions, and the group that shares them out: how the partitions' moves become the world's."""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product

from tests.model.lane import lane_moves
from tests.model.partition import WORKERS, At, Broker, Lane, Part, Stored, Told, Wrong
from tests.model.promises import PROMISES, Promise, breaks
from tests.model.search import Found, Move, search

World = tuple[int, ...]
"""The number of the state of each partition: what many worlds have in common is worked out once."""


class Model:
    """A world over `broker` with so many records per partition. Search it with `search`."""

    def __init__(self, broker: Broker, records: tuple[int, ...]) -> None:
        self._broker = broker
        self._records = records
        self._parts: list[Part] = []
        self._numbers: dict[Part, int] = {}
        self._local = cache(self._local_moves)
        self._mirrored = cache(self._mirror)
        self._of_worker = {
            name: cache(move)
            for name, move in (("crash", self._crash), ("pause", self._pause), ("assign", self._assign))
        }

    def search(self, *promises: Promise, most_faults: int | None = None) -> Found[tuple[Part, ...]]:
        """Visit all states, and look whether these promises hold; none named: all of them."""
        broken = breaks(self._broker, *(promises or PROMISES))
        wrong = cache(lambda part: broken(self._parts[part]))
        done = cache(lambda part: self._done(self._parts[part]))
        found = search(
            self._start(),
            self._moves,
            self._alike,
            lambda world: next(filter(None, map(wrong, world)), ""),
            lambda world: all(map(done, world)),
            most_faults,
        )
        parts = None if found.state is None else tuple(self.parts(found.state))
        return Found(found.states, found.moves, found.broken, found.trace, parts)

    def play(self, steps: Iterable[str]) -> World:
        """Take these steps, each told as a move is printed (its outcome may be left out); raises if one cannot be."""
        world = self._start()
        for step in steps:
            possible = {str(move): after for move, after in reversed([*self._moves(world, faults=True)])}
            fitting = [after for told, after in possible.items() if told == step or told.startswith(f"{step} →")]
            if not fitting:
                raise LookupError(f"not {step!r} now, but: {', '.join(possible)}")
            world = fitting[-1]
        return world

    def parts(self, world: World) -> list[Part]:
        """Return the partitions of a world."""
        return [self._parts[part] for part in world]

    def _done(self, part: Part) -> bool:
        stored = part.stored
        return stored.outputs == stored.rows == stored.source and stored.next_offset == len(stored.source)

    def _number(self, part: Part) -> int:
        number = self._numbers.setdefault(part, len(self._parts))
        if number == len(self._parts):
            self._parts.append(part)
        return number

    def _start(self) -> World:
        """Partition p belongs to worker p; nobody was told so far."""
        parts = []
        for p, records in enumerate(self._records):
            told = (Told(False, p != 0), Told(False, p != 1))
            held = self._broker.start()
            source = () if getattr(held, "synced", None) is not None else tuple(range(records))
            parts.append(self._number(Part(p, told, (Lane(), Lane()), Stored(source), held)))
        return tuple(parts)

    def _alike(self, world: World) -> World:
        """Return the least of the worlds that differ only in the workers' places, and in those of equal partitions."""
        mirrored = tuple(map(self._mirrored, world))
        if len(set(self._records)) == 1:
            return min(tuple(sorted(world)), tuple(sorted(mirrored)))
        return min(world, mirrored)

    def _mirror(self, number: int) -> int:
        part = self._parts[number]
        told, lanes, held = part.told[::-1], part.lanes[::-1], self._broker.mirrored(part.held)
        return self._number(part._replace(owner=1 - part.owner, told=told, lanes=lanes, held=held))

    def _moves(self, world: World, faults: bool) -> Iterator[tuple[Move, World]]:
        for p, part in enumerate(world):
            for move, after in self._local(p, part):
                if faults or not move.fault:
                    yield move, (*world[:p], after, *world[p + 1 :])
        for worker in WORKERS:
            if not all(self._parts[part].told[worker].settled for part in world):
                yield from self._joint(world, worker, "assign")
            if faults:
                yield from self._joint(world, worker, "crash")
                yield from self._joint(world, worker, "pause")
                yield from self._joins(world, worker)

    def _local_moves(self, p: int, number: int) -> list[tuple[Move, int]]:
        """What changes one partition only."""
        part, place = self._parts[number], f"partition {p}"
        found = [
            step for worker in WORKERS for step in lane_moves(self._broker, part, worker, f"worker {worker}, {place}")
        ]
        found += [(move._replace(who=f"{move.who}, {place}"), after) for move, after in self._broker.alone(part)]
        return [(move, self._number(after)) for move, after in found]

    def _joint(self, world: World, worker: int, name: str) -> Iterator[tuple[Move, World]]:
        """What happens to a worker, and so to its lanes of all partitions."""
        outcomes = [self._of_worker[name](part, worker) for part in world]
        if any(outcomes) and BLOCKED not in outcomes:
            for after in product(*(outcome or (part,) for outcome, part in zip(outcomes, world, strict=True))):
                yield Move(name, f"worker {worker}", fault=name != "assign"), after

    def _joins(self, world: World, worker: int) -> Iterator[tuple[Move, World]]:
        """A worker that was given up comes back: the group gives it one of two partitions."""
        if len(world) > 1 and all(self._parts[part].owner != worker for part in world):
            for p, part in enumerate(world):
                joined = self._number(self._moved(self._parts[part], worker))
                move = Move("join", f"worker {worker}", f"partition {p}", fault=True)
                yield move, (*world[:p], joined, *world[p + 1 :])

    def _crash(self, number: int, worker: int) -> tuple[int, ...]:
        """The process is gone, and with it what it knew; a call under way may arrive all the same."""
        part = self._parts[number]
        if part.lanes[worker] == Lane() and not part.told[worker].assigned:
            return ()
        gone = part.tell(worker, Told(False, part.owner != worker))
        return tuple(self._number(after.lane(worker, Lane())) for _, after in self._broker.dropped(gone, worker))

    def _pause(self, number: int, worker: int) -> tuple[int, ...]:
        """Nobody heard from the worker for a session: the group gives its partitions away. It does not know."""
        part = self._parts[number]
        return (self._number(self._moved(part, 1 - worker)),) if part.owner == worker else ()

    def _moved(self, part: Part, owner: int) -> Part:
        part = part._replace(owner=owner)
        for worker in WORKERS:
            told = part.told[worker]
            settled = not (self._broker.tells_always or told.anew) and told.assigned == (owner == worker)
            part = part.tell(worker, told._replace(settled=settled))
        return part

    def _assign(self, number: int, worker: int) -> tuple[int, ...]:
        """The worker takes the assignment in (`Engine.assign`): lanes of new partitions start, of lost ones end."""
        part = self._parts[number]
        told, lane, ours = part.told[worker], part.lanes[worker], part.owner == worker
        if ours and not told.assigned and lane.at is not At.STOPPED:
            return BLOCKED  # a lane that ends while its successor starts is as one of the other worker
        if ours and lane.at is At.STOPPED:
            first = At.SOURCE_OFFSET if Wrong.OFFSET_READ_BEFORE_CLAIM in self._broker.wrong else At.CLAIM
            part = part.lane(worker, Lane(first))
        after = self._number(part.tell(worker, Told(ours, True)))
        return () if after == number else (after,)


BLOCKED = (-1,)
"""Not now, for any partition."""
