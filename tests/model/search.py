"""An exhaustive search over states, breadth first. Knows nothing of what the states mean."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)


class Move(NamedTuple):
    """What leads from one state to the next. A fault is what need not happen: progress must be possible without."""

    name: str
    who: str
    outcome: str = ""
    fault: bool = False

    def __str__(self) -> str:
        return f"{self.who}: {self.name}" + (f" → {self.outcome}" if self.outcome else "")


class Found(NamedTuple, Generic[S]):
    """What a search saw. `trace` leads to the first state in which `broken` said what is wrong; None: there is none."""

    states: int
    moves: Counter[Move]
    broken: str = ""
    trace: tuple[Move, ...] | None = None
    state: S | None = None

    def names(self) -> set[str]:
        """Return the names of the moves that were taken."""
        return {move.name for move in self.moves}

    def told(self) -> str:
        """Return the counterexample, a line for each step."""
        lines = [f"{number:3}. {move}" for number, move in enumerate(self.trace or (), 1)]
        return "\n".join([f"{self.broken or 'nothing wrong'} ({self.states} states)", *lines, str(self.state)])


class _Seen(Generic[S]):
    """The states seen so far, by number, and how each was reached."""

    def __init__(self, start: S, alike: Callable[[S], S]) -> None:
        self.states = [start]
        self.taken: Counter[Move] = Counter()
        self._alike = alike
        self._number_of = {alike(start): 0}
        self._came: list[tuple[int, Move | None]] = [(0, None)]
        self._into: list[list[int]] = [[]]  # from which states a move that is no fault leads there

    def take(self, origin: int, move: Move, after: S) -> None:
        """Note a move from the state with the number `origin`."""
        self.taken[move] += 1
        number = self._number_of.setdefault(self._alike(after), len(self.states))
        if number == len(self.states):
            self.states.append(after)
            self._came.append((origin, move))
            self._into.append([])
        if not move.fault:
            self._into[number].append(origin)

    def dead_end(self, done: Callable[[S], bool]) -> int | None:
        """Return the first state from which no way without faults leads to one that is done."""
        hopeful = [number for number, state in enumerate(self.states) if done(state)]
        can_end = set(hopeful)
        while hopeful:
            origins = [origin for origin in self._into[hopeful.pop()] if origin not in can_end]
            can_end.update(origins)
            hopeful += origins
        return next((number for number in range(len(self.states)) if number not in can_end), None)

    def found(self, number: int | None = None, broken: str = "") -> Found[S]:
        """Return all that was seen; `number` is the state in which something is wrong."""
        if number is None:
            return Found(len(self.states), self.taken)
        trace: list[Move] = []
        at, move = self._came[number]
        while move is not None:
            trace.append(move)
            at, move = self._came[at]
        return Found(len(self.states), self.taken, broken, tuple(reversed(trace)), self.states[number])


def search(
    start: S,
    moves: Callable[[S, bool], Iterable[tuple[Move, S]]],
    alike: Callable[[S], S],
    broken: Callable[[S], str],
    done: Callable[[S], bool],
    most_faults: int | None = None,
) -> Found[S]:
    """Visit every state that at most `most_faults` faults lead to (None: any number), fewest first.

    `moves` gives what can happen in a state, with or without faults. Of states that mirror each other, of which `alike`
    names one, only the first that comes up is visited.

    Ends at the first state of which `broken` says what is wrong. Otherwise looks whether from every state a way without
    any more faults leads to one that is `done`; a state from which none does is a counterexample too.
    """
    seen = _Seen(start, alike)
    visited = spent = 0
    later: list[tuple[int, Move, S]] = []  # what takes one fault more than was spent
    while True:
        while visited < len(seen.states):
            state = seen.states[visited]
            if wrong := broken(state):
                return seen.found(visited, wrong)
            for move, after in moves(state, most_faults is None or spent < most_faults):
                if not move.fault or most_faults is None:
                    seen.take(visited, move, after)
                else:
                    later.append((visited, move, after))
            visited += 1
        if not later:
            break
        spent += 1
        for step in later:
            seen.take(*step)
        later = []
    dead_end = seen.dead_end(done)
    return seen.found() if dead_end is None else seen.found(dead_end, "wedged")
