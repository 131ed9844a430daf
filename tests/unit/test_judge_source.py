"""The judge's look at the topic of orders: what is lost, doubled, or less than was acknowledged."""

from collections.abc import Iterable

from tests.acceptance.judge_source import Source, Unsure
from tests.contract.brokers.server import Read, Sent

A: Sent = (b"k", b"a", ())
B: Sent = (b"k", b"b", ())
C: Sent = (None, b"c", (("h", None),))


def _faults(found: Iterable[Sent], sent: Iterable[Sent], unsure: dict[Sent, Unsure], least: int = 0) -> list[str]:
    source = Source(list(sent), unsure)
    for offset, (key, value, headers) in enumerate(found):
        source.take(Read(0, offset, key, value, headers, 1, 0))
    return source.faults([(list(unsure), least)])


def test_all_that_was_sent_and_nothing_else_is_right() -> None:
    """In any order, as often as it was sent."""
    assert _faults([B, A, C, A], [A, A, B, C], {}) == []


def test_what_is_missing_or_too_much_is_told() -> None:
    """Each with the record itself."""
    missing, doubled = _faults([A], [A, B], {}), _faults([A, A], [A], {})
    assert len(missing) == len(doubled) == 1
    assert "not in the topic" in missing[0]
    assert "too often" in doubled[0]


def test_what_no_producer_promised_may_be_there_or_not_within_bounds() -> None:
    """And is no part of what was sent."""
    assert _faults([A, C], [A], {C: Unsure(0, 1)}) == []
    assert _faults([A], [A], {C: Unsure(0, 1)}) == []
    assert len(_faults([A, C, C], [A], {C: Unsure(0, 1)})) == 1
    assert len(_faults([A], [A], {C: Unsure(1, 1)})) == 1


def test_of_a_group_at_least_as_many_must_be_there_as_were_acknowledged() -> None:
    """Whichever they are."""
    unsure = {B: Unsure(0, 1), C: Unsure(0, 1)}
    assert _faults([A, C], [A], unsure, least=1) == []
    assert len(_faults([A, C], [A], unsure, least=2)) == 1
