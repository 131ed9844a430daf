"""Dead letters over HTTP: any worker tells of all of them, in pages, and asks for what is to be done."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from yarl import URL

from app.engine.errors import Unavailable
from app.engine.table import encode_row
from app.topics import LETTERS_TABLE
from app.web.reading.queries import Query
from app.web.reading.whole import Reading, Rows
from models.letters import Letter
from tests.unit.web_kit import PARTITIONS, Answer, Cluster, cluster

NOW = 1_790_000_000.0


def letter(number: int, **more: Any) -> Letter:
    """Return a letter; some of each state and cause."""
    states = ("dead", "parked", "waiting", "resolved")
    given: dict[str, Any] = {
        "state": states[number % 4],
        "cause": "invalid_event" if number % 3 else "unknown_order",
        "error": "why",
        "event_type": "order.paid",
        "event_id": f"e{number}",
        "order_id": f"o{number % 5}",
        "customer_id": f"c{number % 7}",
        "key": b"k",
        "value": b'{"n":%d}' % number,
        "headers": (("h", b"\xff"),),
        "timestamp": 1_790_000_000_000,
        "timestamp_type": 0,
        "first_failed_at": NOW + number,
        "last_failed_at": NOW + number,
        "attempts": 1,
    }
    return Letter(**given | more)


LETTERS = {f"{number % PARTITIONS}-{number}": letter(number) for number in range(40)}
MOVED = "0-99"


@pytest.fixture
async def workers() -> AsyncIterator[Cluster]:
    """Two workers, two partitions each; one letter lies elsewhere than it came from."""
    async with cluster() as running:
        for name, row in {**LETTERS, MOVED: letter(99, home=3)}.items():
            lies_in = int(name[0]) if row.home is None else row.home
            running.partitions[lies_in].tables[LETTERS_TABLE].apply({name: row}, [(name, encode_row(row))])
        yield running


def in_order(names: Sequence[str]) -> list[str]:
    """Return ids by partition, then offset."""
    return sorted(names, key=lambda name: (int(name.split("-")[0]), int(name.split("-")[1])))


async def post(
    workers: Cluster, path: str, body: Any, worker: int = 0, content_type: str = "application/json"
) -> Answer:
    """Post JSON, or bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": content_type}
    async with workers.client.post(URL(workers.urls[worker] + path), data=data, headers=headers) as response:
        return Answer(response.status, await response.json(), response.headers)


@pytest.mark.parametrize("worker", [0, 1])
@pytest.mark.parametrize("limit", [1, 7, 1_000])
async def test_open_letters_come_in_pages_in_the_order_of_their_records(
    workers: Cluster, worker: int, limit: int
) -> None:
    """Each once, whatever the size of the pages."""
    found: list[str] = []
    following = ""
    while following is not None:
        page = (await workers.get(f"/api/dead-letters?limit={limit}&after={following}", worker)).json
        assert len(page["letters"]) <= limit
        found += [each["id"] for each in page["letters"]]
        following = page["next"]
    assert found == in_order([name for name, row in LETTERS.items() if row.state != "resolved"])


async def test_letters_are_chosen_by_what_is_known_of_them(workers: Cluster) -> None:
    """Several values of one field mean any of them, several fields all of them."""
    for asked, wanted in CHOICES.items():
        answer = await workers.get(f"/api/dead-letters?limit=1000&{asked}")
        found = {each["id"] for each in answer.json["letters"]} - {MOVED}
        assert found == {name for name, row in LETTERS.items() if wanted(row)}, asked


CHOICES: dict[str, Callable[[Letter], bool]] = {
    "state=parked": lambda row: row.state == "parked",
    "state=parked,resolved&cause=unknown_order": lambda row: (
        row.state in {"parked", "resolved"} and row.cause == "unknown_order"
    ),
    "order_id=o1&customer_id=c1,c2": lambda row: row.open and row.order_id == "o1" and row.customer_id in {"c1", "c2"},
    "since=2026-09-21T14:13:30Z&until=2026-09-21T14:13:35": lambda row: (
        row.open and 10 <= row.first_failed_at - NOW < 15
    ),
    "event_type=order.shipped": lambda _row: False,
}


async def test_a_letter_is_shown_whole(workers: Cluster) -> None:
    """With its record: as text where it is that, else in hexadecimal digits. Wherever it lies."""
    found = (await workers.get("/api/dead-letters/1-1")).json
    assert found["record"] == {
        "key": {"text": "k"},
        "value": {"text": '{"n":1}'},
        "headers": [["h", {"hex": "ff"}]],
        "timestamp": "2026-09-21T14:13:20.000Z",
    }
    assert (found["id"], found["state"], found["event_id"], found["history"]) == ("1-1", "parked", "e1", [])
    assert (await workers.get(f"/api/dead-letters/{MOVED}")).json["id"] == MOVED
    answer = await workers.get("/api/dead-letters/1-2")
    assert (answer.status, answer.json["error"]["code"]) == (404, "unknown_letter")


async def test_figures_are_of_all_workers(workers: Cluster) -> None:
    """Depth by state and cause."""
    told = (await workers.get("/api/dead-letters/stats")).json
    assert told["states"] == {"dead": 10, "parked": 10, "waiting": 10, "resolved": 11}
    assert told["open"] == sum(told["causes"].values()) == 30
    assert told["oldest_open_seconds"] > 0


async def test_a_deed_is_asked_for_where_the_letter_lies(workers: Cluster) -> None:
    """One action each; with a mended value if one is wanted."""
    answer = await post(workers, "/api/dead-letters/redrive", {"ids": ["0-0", "2-2"], "by": "me", "set": ["n=5"]})
    assert (answer.status, answer.json) == (202, {"deed": "redrive", "asked": 2})
    asked = workers.nodes[0].asked
    assert [(partition, action.deed, action.letters, action.by, action.value) for partition, action in asked] == [
        (0, "redrive", ["0-0"], "me", b'{"n":5}'),
        (2, "redrive", ["2-2"], "me", b'{"n":5}'),
    ]
    answer = await post(workers, "/api/dead-letters/purge", {"ids": ["1-1"]}, worker=1)
    assert answer.status == 202
    ((partition, action),) = workers.nodes[1].asked
    assert (partition, action.deed, action.letters, action.value) == (1, "purge", ["1-1"], None)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("redrive", {"ids": ["1-1"]}, 409, "not_open"),  # parked
        ("redrive", {"ids": ["0-0", "3-3"]}, 409, "not_open"),  # one is closed
        ("purge", {"ids": ["3-3"]}, 409, "not_open"),
        ("purge", {"ids": ["1-777"]}, 409, "not_open"),
        ("redrive", {"ids": ["0-0"], "set": ["items.0.qty=1"]}, 400, "bad_body"),
        ("redrive", {"ids": []}, 400, "bad_body"),
        ("redrive", {"ids": ["one"]}, 400, "bad_body"),
        ("redrive", {"ids": ["0-0"], "sett": []}, 400, "bad_body"),
        ("redrive", b"", 400, "bad_body"),
        ("redrive", b"[]", 400, "bad_body"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_nothing_is_asked_for(
    workers: Cluster, path: str, body: Any, status: int, code: str
) -> None:
    """With the reason."""
    answer = await post(workers, f"/api/dead-letters/{path}", body)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert workers.nodes[0].asked == []


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "after=7", "state=lost", "since=soon", "stat=dead"])
async def test_a_bad_parameter_is_named(workers: Cluster, query: str) -> None:
    """As everywhere."""
    answer = await workers.get(f"/api/dead-letters?{query}")
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_parameter")


async def test_only_json_is_taken(workers: Cluster) -> None:
    """A page of another site could make a browser send anything else without asking first."""
    answer = await post(workers, "/api/dead-letters/purge", {"ids": ["0-0"]}, content_type="text/plain")
    assert (answer.status, answer.json["error"]["code"]) == (415, "bad_content_type")
    assert workers.nodes[0].asked == []


async def test_a_broker_that_is_away_is_told(workers: Cluster) -> None:
    """What of it was asked for is not known: nobody is told that it was."""

    async def fail(_actions: Any) -> None:
        raise Unavailable("the broker does not answer")

    workers.nodes[0].asking = fail
    answer = await post(workers, "/api/dead-letters/redrive", {"ids": ["0-0"]})
    assert (answer.status, answer.json["error"]["code"]) == (503, "not_ready")
    assert "the broker does not answer" in answer.json["error"]["message"]
    assert "Retry-After" in answer.headers


@pytest.mark.parametrize("newest", [0, 3])
async def test_a_letter_that_is_seen_in_two_partitions_is_told_once(workers: Cluster, newest: int) -> None:
    """While it is on its way, two workers may know it: what is newer counts."""
    for partition in (0, 3):
        row = letter(7, last_failed_at=NOW + (9 if partition == newest else 1), error=f"in {partition}")
        workers.partitions[partition].tables[LETTERS_TABLE].apply({"0-777": row}, [("0-777", encode_row(row))])
    answer = await workers.get("/api/dead-letters/0-777", 1)
    assert answer.json["error"] == f"in {newest}"


async def test_lists_carry_no_records_from_worker_to_worker(workers: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """They show none, and each may have a megabyte. One letter comes whole, and so do those that are mended."""
    told: list[dict[str, Letter]] = []
    of_all = Reading.of_all

    async def noting(reading: Reading, query: Query) -> Rows:
        rows = await of_all(reading, query)
        told.append({name: row for name, row in rows.items() if isinstance(row, Letter)})
        return rows

    monkeypatch.setattr(Reading, "of_all", noting)
    await workers.get("/api/dead-letters")
    await post(workers, "/api/dead-letters/purge", {"ids": ["0-0", "3-3"]})
    assert [len(letters) for letters in told] == [30, 2]
    for letters in told:
        assert {(row.value, row.mended, row.headers) for row in letters.values()} == {(None, None, ())}
    told.clear()
    assert (await workers.get("/api/dead-letters/0-4")).json["record"]["value"] == {"text": '{"n":4}'}
    assert (await post(workers, "/api/dead-letters/redrive", {"ids": ["0-4"], "set": ["n=2"]})).status == 202
    assert [letters["0-4"].value for letters in told] == [b'{"n":4}'] * 2
