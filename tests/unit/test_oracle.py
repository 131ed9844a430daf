"""The oracle itself, on cases worked out by hand: whoever judges must be judged first."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.oracle import FORWARDED_FROM, Expected, LogRecord, differences, expect
from tests.oracle_events import partition_of


def created(order: str = "o-1", customer: str = "c-1", event: str = "e-1", **more: Any) -> bytes:
    fields = {
        "event_type": "order.created",
        "event_id": event,
        "timestamp": "2026-11-21T12:00:00Z",
        "order_id": order,
        "customer_id": customer,
        "total_amount": "25.00",
        "currency": "GBP",
        "items": [{"sku": "tea", "qty": 2, "price": "10.00"}, {"sku": "tea", "qty": 1, "price": "5.00"}],
    }
    return json.dumps(fields | more).encode()


def follow(kind: str, event: str, order: str = "o-1", customer: str = "c-1", **more: Any) -> bytes:
    fields = {
        "event_type": f"order.{kind}",
        "event_id": event,
        "timestamp": "2026-11-21T12:01:30+01:00",
        "order_id": order,
        "customer_id": customer,
    }
    return json.dumps(fields | more).encode()


def judge(*values: bytes | None) -> Expected:
    """Put the values in a topic of one partition, so that nothing is misplaced."""
    return expect([LogRecord(0, at, None, value) for at, value in enumerate(values)], "orders", 1)


def test_an_order_from_start_to_end() -> None:
    """One order, delivered, with a part refunded: every table, worked out by hand."""
    expected = judge(
        created(),
        follow("paid", "e-2"),
        follow("shipped", "e-3"),
        follow("delivered", "e-4", timestamp="2026-11-21 12:05:00.250"),
        follow("refunded", "e-5", amount=2.5, timestamp="2026-11-21T14:05:59-02:00"),
    )
    assert expected.tables == {
        "orders": {
            ("c-1", "o-1"): {
                "order_id": "o-1",
                "customer_id": "c-1",
                "status": "delivered",
                "currency": "GBP",
                "total_amount": "25.00",
                "refunded_amount": "2.50",
                "item_count": 3,
                "average_item_price": "8.33",
                "created_at": "2026-11-21T12:00:00Z",
                "updated_at": "2026-11-21T16:05:59Z",
                "items": [
                    {"sku": "tea", "qty": 2, "price": "10.00"},
                    {"sku": "tea", "qty": 1, "price": "5.00"},
                ],
                "events": [
                    {"event_id": "e-1", "event_type": "order.created", "timestamp": "2026-11-21T12:00:00Z"},
                    {"event_id": "e-2", "event_type": "order.paid", "timestamp": "2026-11-21T11:01:30Z"},
                    {"event_id": "e-3", "event_type": "order.shipped", "timestamp": "2026-11-21T11:01:30Z"},
                    {"event_id": "e-4", "event_type": "order.delivered", "timestamp": "2026-11-21T12:05:00.25Z"},
                    {"event_id": "e-5", "event_type": "order.refunded", "timestamp": "2026-11-21T16:05:59Z"},
                ],
            }
        },
        "customers": {
            ("c-1",): {
                "customer_id": "c-1",
                "order_count": 1,
                "open_orders": 0,
                "first_order_at": "2026-11-21T12:00:00Z",
                "last_order_at": "2026-11-21T12:00:00Z",
                "money": {"GBP": {"gross": "25.00", "refunded": "2.50", "net": "22.50"}},
            }
        },
        "products": {
            ("tea",): {
                "sku": "tea",
                "orders": 1,
                "units_sold": 3,
                "units_cancelled": 0,
                "money": {"GBP": {"revenue": "25.00"}},
            }
        },
        "revenue": {
            ("GBP", "2026-11-21T12:00:00Z"): {
                "currency": "GBP",
                "start": "2026-11-21T12:00:00Z",
                "orders": 1,
                "gross": "25.00",
                "refunded": "0.00",
                "net": "25.00",
            },
            ("GBP", "2026-11-21T16:05:00Z"): {
                "currency": "GBP",
                "start": "2026-11-21T16:05:00Z",
                "orders": 0,
                "gross": "0.00",
                "refunded": "2.50",
                "net": "-2.50",
            },
        },
    }
    assert [accepted.event_id for accepted in expected.accepted[0]] == ["e-1", "e-2", "e-3", "e-4", "e-5"]
    assert [accepted.order["status"] for accepted in expected.accepted[0]][:3] == ["created", "paid", "shipped"]
    assert expected.outcomes == {"accepted": 5}


def test_a_cancelled_order_gives_back_what_remains() -> None:
    """25.00 less the 5.00 refunded before; the product loses the order's worth, not the refund's."""
    expected = judge(
        created(), follow("paid", "e-2"), follow("refunded", "e-3", amount="5"), follow("cancelled", "e-4")
    )
    order, customer = expected.tables["orders"]["c-1", "o-1"], expected.tables["customers"]["c-1",]
    product = expected.tables["products"]["tea",]
    assert (order["status"], order["refunded_amount"], customer["open_orders"]) == ("cancelled", "25.00", 0)
    assert (product["units_sold"], product["units_cancelled"], product["money"]["GBP"]["revenue"]) == (3, 3, "0.00")
    assert expected.tables["revenue"]["GBP", "2026-11-21T11:01:00Z"]["refunded"] == "25.00"


def test_an_order_refunded_in_full_is_closed() -> None:
    """Whether an amount says so, or the absence of one."""
    for last in ({"amount": "20.00"}, {}):
        expected = judge(
            created(), follow("paid", "e-2"), follow("refunded", "e-3", amount=5), follow("refunded", "e-4", **last)
        )
        assert expected.tables["orders"]["c-1", "o-1"]["status"] == "refunded"
        assert expected.tables["customers"]["c-1",]["open_orders"] == 0


def test_the_same_event_again_counts_once() -> None:
    """Whatever else it says by now; but another order may use the same event id."""
    expected = judge(created(), created(), follow("paid", "e-1"), created("o-2"))
    assert expected.outcomes == {"accepted": 2, "duplicate": 2}
    assert expected.tables["customers"]["c-1",]["order_count"] == 2


def test_the_same_order_id_of_two_customers_is_two_orders() -> None:
    """An order belongs to its customer."""
    expected = judge(created(), created(customer="c-2"), follow("paid", "e-2", customer="c-3"))
    assert list(expected.tables["orders"]) == [("c-1", "o-1"), ("c-2", "o-1")]
    assert expected.letters == {(0, 2): "waiting"}


def test_early_events_wait_for_their_turn() -> None:
    """Payment and shipping overtook the order; a second payment among them is refused once the first one counts."""
    expected = judge(follow("shipped", "e-3"), follow("paid", "e-2"), follow("paid", "e-4"), created())
    assert [each.event_id for each in expected.accepted[0]] == ["e-1", "e-2", "e-3"]
    assert expected.letters == {(0, 0): "resolved", (0, 1): "resolved", (0, 2): "dead"}
    assert expected.dead_letters == {(0, 2): ["illegal_transition"]}
    assert expected.outcomes == {"waiting": 3, "accepted": 3, "dead_letter:illegal_transition": 1}


def test_a_duplicate_of_a_waiting_event_is_ignored() -> None:
    """The letter that waits is enough."""
    expected = judge(follow("paid", "e-2"), follow("paid", "e-2"), created())
    assert expected.letters == {(0, 0): "resolved"}
    assert expected.outcomes == {"waiting": 1, "duplicate": 1, "accepted": 2}


def test_what_follows_an_unreadable_event_of_an_order_is_parked() -> None:
    """Of that order alone; a refusal by the rules parks nothing."""
    broken = follow("paid", "e-2", timestamp="soon")
    expected = judge(created(), broken, follow("paid", "e-3"), created("o-2", event_id="e-4"), follow("paid", "e-3"))
    assert expected.letters == {(0, 1): "dead", (0, 2): "parked", (0, 4): "parked"}
    assert [each.event_id for each in expected.accepted[0]] == ["e-1", "e-4"]


def test_ids_sent_as_numbers_are_text() -> None:
    """17 and "17" are the same customer."""
    expected = judge(created(customer_id=17), created("o-2", customer_id="17", event_id=3))
    assert expected.tables["customers"]["17",]["order_count"] == 2


def test_decimals_follow_the_currency() -> None:
    """None for yen, three for dinars; halves round to the even neighbour."""
    item = [{"sku": "tea", "qty": "4", "price": 0}]
    expected = judge(
        created("o-1", currency="JPY", total_amount=10, items=item),
        created("o-2", currency="KWD", total_amount=0.0060000000000001, items=item),
    )
    yen, dinar = expected.tables["orders"].values()
    assert (yen["total_amount"], yen["average_item_price"]) == ("10", "2")
    assert (dinar["total_amount"], dinar["average_item_price"]) == ("0.006", "0.002")


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ([None], "undecodable"),
        ([b""], "undecodable"),
        ([b"\xef\xbb\xbf" + created()], "undecodable"),
        ([created(note="\ud800")], "undecodable"),
        ([created(total_amount=float("nan"))], "undecodable"),
        ([created().replace(b'"25.00"', b"1e400")], "undecodable"),
        ([created()[:-1] + b',"x":' + b"[" * 1_024 + b"]" * 1_024 + b"}"], "undecodable"),
        ([b" " * (1 << 20) + created()], "invalid_event"),
        ([b"null"], "invalid_event"),
        ([created(event_type=None)], "invalid_event"),
        ([created(event_type="order.lost")], "unknown_type"),
        ([created(order_id="")], "invalid_event"),
        ([created(order_id=True)], "invalid_event"),
        ([created(order_id="a\x7f")], "invalid_event"),
        ([created(timestamp="2026-11-21")], "invalid_event"),
        ([created(timestamp="2026-02-29T12:00:00Z")], "invalid_event"),
        ([created(timestamp="1969-12-31T12:00:00Z")], "invalid_event"),
        ([created(timestamp=1_795_262_400)], "invalid_event"),
        ([created(total_amount="25.001")], "invalid_event"),
        ([created(total_amount=25.001)], "invalid_event"),
        ([created(total_amount=True)], "invalid_event"),
        ([created(total_amount=10**12)], "invalid_event"),
        ([created(currency="ZZZ")], "invalid_event"),
        ([created(items=[])], "invalid_event"),
        ([created(items=[{"sku": "tea", "qty": 0, "price": 1}])], "invalid_event"),
        ([created(items=[{"sku": "tea", "qty": 1, "price": "-1"}])], "invalid_event"),
        ([created(), created(event="e-2")], "order_exists"),
        ([created(), follow("paid", "e-2"), follow("paid", "e-3")], "illegal_transition"),
        ([created(), follow("cancelled", "e-2"), follow("paid", "e-3")], "illegal_transition"),
        ([created(), follow("refunded", "e-2", amount=0)], "invalid_event"),
        ([created(), follow("paid", "e-2"), follow("refunded", "e-3", amount="0.001")], "invalid_event"),
        ([created(), follow("paid", "e-2"), follow("refunded", "e-3", amount="25.01")], "refund_too_large"),
        ([created(total_amount="0"), follow("paid", "e-2"), follow("refunded", "e-3")], "refund_too_large"),
    ],
)
def test_the_last_record_is_refused(values: list[bytes | None], cause: str) -> None:
    """Each cause, and nothing but the last record is refused for it."""
    expected = judge(*values)
    assert expected.dead_letters == {(0, len(values) - 1): [cause]}
    assert expected.outcomes == Counter({"accepted": len(values) - 1, f"dead_letter:{cause}": 1})


def test_fields_that_nobody_knows_are_ignored() -> None:
    """Even deep ones, and brackets in text are no depth."""
    assert judge(created()[:-1] + b',"x":' + b"[" * 900 + b"]" * 900 + b',"note":"[[[["}').outcomes == {"accepted": 1}


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_partitions_are_those_of_kafka(key: bytes, hashed: int) -> None:
    """The hashes of the test of Kafka's own client."""
    assert partition_of(key, 2**31 - 1) == (hashed & 0x7FFFFFFF) % (2**31 - 1)
    assert partition_of(key, 7) == (hashed & 0x7FFFFFFF) % 7


def misplaced(*copies: LogRecord) -> Expected:
    """Judge an event of c-1 in the wrong one of four partitions, and these copies of it."""
    return expect([LogRecord(wrong, 5, b"k", created()), *copies], "orders", 4)


right = partition_of(b"c-1", 4)
wrong = (right + 1) % 4
came_from = ((FORWARDED_FROM, b"orders/%d/5" % wrong),)


def test_a_misplaced_record_counts_where_it_was_forwarded_to() -> None:
    """Once forwarded, once accepted."""
    expected = misplaced(LogRecord(right, 0, b"k", created(), came_from))
    assert expected.problems == []
    assert expected.outcomes == {"forwarded": 1, "accepted": 1}
    assert [accepted.offset for accepted in expected.accepted[right]] == [0]


@pytest.mark.parametrize(
    ("copies", "problem"),
    [
        ([], "forwarded 0 times"),
        ([LogRecord(right, n, b"k", created(), came_from) for n in (0, 1)], "forwarded 2 times"),
        ([LogRecord(right, 0, b"x", created(), came_from)], "key or value changed"),
        ([LogRecord(right, 0, b"k", created() + b" ", came_from)], "key or value changed"),
        ([LogRecord((right + 2) % 4, 0, b"k", created(), came_from)], "instead of"),
        ([LogRecord(right, 0, b"k", created("o-2"), ((FORWARDED_FROM, b"orders/%d/3" % right),))], "right partition"),
    ],
)
def test_faults_of_forwarding_are_found(copies: list[LogRecord], problem: str) -> None:
    """Lost, doubled, changed, or in a wrong place again."""
    assert any(problem in line for line in misplaced(*copies).problems)


def test_copies_out_of_order_are_found() -> None:
    """What came from one partition keeps its order."""
    log = [LogRecord(wrong, n, b"k", created(f"o-{n}")) for n in (3, 4)]
    copies = [
        LogRecord(right, at, b"k", created(f"o-{n}"), ((FORWARDED_FROM, b"orders/%d/%d" % (wrong, n)),))
        for at, n in enumerate((4, 3))
    ]
    assert any("comes after" in line for line in expect([*log, *copies], "orders", 4).problems)


def test_differences_name_rows() -> None:
    """Missing, too many, different: one line each."""
    lines = differences({("a",): 1, ("b",): 2}, {("b",): 3, ("c",): 4})
    assert lines == ["('a',): not wanted, found 1", "('b',): found 2, wanted 3", "('c',): missing, wanted 4"]
    assert differences({("a",): 1}, {("a",): 1}) == []
    assert differences({(str(n),): n for n in range(20)}, {})[-1] == "… and 10 more"
