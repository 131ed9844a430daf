"""A flood of records that nobody can use: a producer gone mad."""

from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.contract.brokers.server import Sent
from tests.faults.moves.move import Cast, Choice, Move, Track

if TYPE_CHECKING:
    from tests.faults.stage import Stage

HUGE_BYTES = 1_200_000
HUGE_RECORDS = 6  # an hour of them must fit into a server's memory
DELIVERED_SECONDS = 90


CREATED = (
    b'{"event_type":"order.created","event_id":"held-%d","timestamp":"some day","order_id":"held-%d",'
    b'"customer_id":"%s","total_amount":"12.00","currency":"GBP","items":[{"sku":"tea","qty":1,"price":"12.00"}]}'
)
PAID = (
    b'{"event_type":"order.paid","event_id":"held-%d","timestamp":"2026-11-21T12:00:00Z","order_id":"held-%d",'
    b'"customer_id":"%s"}'
)


def _poison(kind: str, number: int) -> Sent:
    key = b"poison-%d" % (number // 3 % 97)
    if kind == "held-up":
        return key, (CREATED if number % 3 == 0 else PAID) % (number, number // 3, key), ()
    if kind == "undecodable":
        return key, b"\xff\x00{%d" % number, ()
    if kind == "huge":
        return key, b'{"event_type":"order.paid","padding":"' + b"%d" % number + b"x" * HUGE_BYTES + b'"}', ()
    return key, b'{"event_type":"order.paid","event_id":"poison-%d","order_id":""}' % number, ()


class PoisonFlood(Move):
    """Each of them becomes a letter; the good ones between them are not held up (unless their order is), nor lost."""

    name: ClassVar[str] = "poison-flood"
    track: ClassVar[Track] = "shop"

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw which kind."""
        kind = random.choice(["undecodable", "invalid", "huge", "held-up"])
        records = HUGE_RECORDS if kind == "huge" else random.randrange(1_000, 6_000)
        return {"records": records, "kind": kind, "seconds": 2.0}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if all of them arrived."""
        feed = stage.scene.server.feed(stage.scene.settings)
        try:
            first = len(stage.extra) + len(stage.unsure)
            records = [_poison(choice["kind"], first + number) for number in range(choice["records"])]
            feed.send([(record, False) for record in records])
            feed.finish(DELIVERED_SECONDS)
            assert not feed.failures, feed.failures[:3]
            return stage.sent(records, feed.delivered)
        finally:
            feed.close()
