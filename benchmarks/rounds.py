"""In which order candidates run. Pure."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def order_of(candidates: Sequence[T], number: int) -> list[T]:
    """Return the candidates in the order of round `number` (from 0).

    Rounds are the rows of a Williams design (E. J. Williams, 1949): in as many rounds as there are candidates, each
    stands at every place once, and for an even number of them each also follows every other one once.
    """
    size = len(candidates)
    first = [(at + 1) // 2 if at % 2 else -(at // 2) for at in range(size)]
    return [candidates[(place + number) % size] for place in first]
