"""Rows of a partition in memory, and what a step sees and changes of them."""

import tracemalloc
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine import state as state_module
from app.engine.state import PartitionState, TableState
from app.engine.step import FLUSH_OUTPUTS, Output, Step
from app.engine.table import Table, encode_row


class Row(NamedTuple):
    """A row as models have them."""

    name: str
    counts: dict[str, int]


def second(key: str) -> str:
    """Return what rows are found by besides their key."""
    return key.rpartition("/")[2]


def due_if_odd(value: int) -> float | None:
    """Return when something is to be done about a number."""
    return float(value) if value % 2 else None


def put_or_delete(step: Step, key: str, value: int | None) -> None:
    """Put a number; None: delete it."""
    if value is None:
        step.table("numbers").delete(key)
    else:
        step.table("numbers").put(key, value)


ROWS = Table("rows", Row)
NUMBERS = Table("numbers", index_of=second, due_of=due_if_odd)


def a_state() -> PartitionState:
    """Return empty tables."""
    return PartitionState((ROWS, NUMBERS))


def a_step(state: PartitionState, **more: Any) -> Step:
    """Return a step over them."""
    return Step(0, [], 0, 1, state, **more)


def commit(step: Step) -> None:
    """Do what a lane does with a step once the broker has it."""
    step.publish(step.encoded())


def test_what_is_due_waits_until_a_step_has_changed_it() -> None:
    """A step that was not committed leaves it due; one under way does not see it twice."""
    state = a_state()
    for key, value in (("a", b"3"), ("b", b"5"), ("c", b"4"), ("d", b"9")):
        state.load("numbers", key, value)
    dropped = a_step(state)
    assert dropped.table("numbers").due(8, 9) == ["a", "b"]
    dropped.table("numbers").put("a", 0)
    assert dropped.table("numbers").due(8, 9) == ["b"]
    step = a_step(state)
    assert step.table("numbers").due(8, 9) == ["a", "b"]
    step.table("numbers").put("a", 7)
    step.table("numbers").delete("b")
    commit(step)
    assert a_step(state).table("numbers").due(8, 9) == ["a"]


def test_a_step_is_empty_until_it_has_led_to_something() -> None:
    """Then there is nothing to commit."""
    state = a_state()
    assert a_step(state).empty
    looking = a_step(state)
    looking.table("numbers").get("a")
    assert looking.empty
    deleting, sending = a_step(state), a_step(state, write=lambda _: None)
    deleting.table("numbers").delete("a")
    sending.send_all([Output("t", 0, None, None)] * FLUSH_OUTPUTS)
    assert sending.outputs == []
    assert not deleting.empty
    assert not sending.empty


# --- a step -----------------------------------------------------------------------------------------------------------


def test_a_step_sees_its_own_changes_over_the_committed_rows() -> None:
    """Others see them once it is published, and not before."""
    state = a_state()
    state.load("numbers", "a", b"1")
    step = a_step(state)
    numbers = step.table("numbers")
    assert numbers.get("a") == 1
    assert numbers.get("b") is None
    numbers.put("a", 2)
    numbers.put("b", 0)
    assert (numbers.get("a"), numbers.get("b")) == (2, 0)
    assert step.table("numbers").get("a") == 2
    assert (state.tables["numbers"].get("a"), state.tables["numbers"].get("b")) == (1, None)
    commit(step)
    assert (state.tables["numbers"].get("a"), state.tables["numbers"].get("b")) == (2, 0)


def test_a_step_that_is_dropped_leaves_nothing() -> None:
    """A second step over the same rows knows nothing of the first."""
    state = a_state()
    a_step(state).table("numbers").put("a", 1)
    assert a_step(state).table("numbers").get("a") is None
    assert state.row_count() == 0


def test_encoded_rows_are_what_was_put_last() -> None:
    """Per table, each key once; tables without changes are left out."""
    step = a_step(a_state())
    step.table("rows").get("nothing")
    numbers = step.table("numbers")
    numbers.put("a", 1)
    numbers.put("b", 2)
    numbers.put("a", 3)
    assert step.encoded() == [("numbers", [("a", b"3"), ("b", b"2")])]


def test_an_unknown_table_is_an_error() -> None:
    """A misspelt name is not a new table."""
    with pytest.raises(KeyError):
        a_step(a_state()).table("number")


@pytest.mark.parametrize("count", [0, 1, FLUSH_OUTPUTS - 1, FLUSH_OUTPUTS, FLUSH_OUTPUTS + 1, 3 * FLUSH_OUTPUTS])
def test_outputs_are_handed_on_in_order_and_once(count: int) -> None:
    """Those handed on early and those that are left make up all of them."""
    handed: list[Output] = []
    step = a_step(a_state(), write=handed.extend)
    outputs = [Output("topic", 0, None, b"%d" % number) for number in range(count)]
    for output in outputs:
        step.send(output)
    assert handed + step.outputs == outputs
    assert len(step.outputs) < FLUSH_OUTPUTS


def test_without_somebody_to_take_them_outputs_are_kept() -> None:
    """A step alone holds all of them."""
    step = a_step(a_state())
    for number in range(2 * FLUSH_OUTPUTS):
        step.send(Output("topic", 0, None, b"%d" % number))
    assert len(step.outputs) == 2 * FLUSH_OUTPUTS


# --- rows -------------------------------------------------------------------------------------------------------------


def test_rows_come_back_equal_from_their_bytes() -> None:
    """A named tuple is written as an array and decoded into what it was."""
    row = Row("x", {"EUR": 5})
    assert encode_row(row) == b'["x",{"EUR":5}]'
    state = a_state()
    state.load("rows", "k", encode_row(row))
    assert state.tables["rows"].get("k") == row
    assert isinstance(state.tables["rows"].get("k"), Row)


def test_a_value_that_is_no_json_is_refused() -> None:
    """At the commit at the latest."""
    with pytest.raises(TypeError):
        encode_row(object())


def test_rows_of_tables_that_are_gone_are_passed_over() -> None:
    """A table that was taken out of the code may still have rows in the state."""
    state = a_state()
    state.load("gone", "a", b"1")
    assert state.row_count() == 0


def test_hot_rows_never_hide_newer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is kept decoded, the newest committed version is what is read."""
    monkeypatch.setattr(state_module, "HOT_ROWS", 3)
    state = a_state()
    for version in range(20):
        step = a_step(state)
        for key in ("a", f"k{version}", f"k{version // 2}"):
            step.table("numbers").put(key, version)
        commit(step)
        table = state.tables["numbers"]
        for key, encoded in table.encoded.items():
            assert table.get(key) == orjson.loads(encoded)
        assert table.get("a") == version


def test_rows_are_found_by_their_second_key() -> None:
    """None, one or several of them, loaded or written by a step."""
    state = a_state()
    table = state.tables["numbers"]
    state.load("numbers", "x/1", b"1")
    assert table.keys_of("1") == ("x/1",)
    step = a_step(state)
    for key in ("x/1", "y/1", "z/1", "x/2"):
        step.table("numbers").put(key, 1)
    assert table.keys_of("1") == ("x/1",)
    commit(step)
    assert table.keys_of("1") == ("x/1", "y/1", "z/1")
    assert table.keys_of("2") == ("x/2",)
    assert table.keys_of("3") == ()


KEYS = st.sampled_from(["x/1", "y/1", "z/1", "x/2", "y/2"])
LOADS = st.lists(st.tuples(KEYS, st.none() | st.integers(0, 9)), max_size=30)
STEPS = st.lists(st.dictionaries(KEYS, st.none() | st.integers(10, 19), max_size=4), max_size=6)


@given(LOADS, STEPS, st.integers(1, 3))
def test_a_table_is_the_dictionary_of_its_newest_rows(
    loads: list[tuple[str, int | None]], steps: list[dict[str, int | None]], hot: int
) -> None:
    """After any loads and steps, with deletions: rows, their count, second keys and what is due agree with a dict."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_module, "HOT_ROWS", hot)
        state, expected = a_state(), dict[str, int]()
        for key, value in loads:
            state.load("numbers", key, None if value is None else orjson.dumps(value))
            if value is None:
                expected.pop(key, None)
            else:
                expected[key] = value
        for changes in steps:
            step = a_step(state)
            for key, value in changes.items():
                put_or_delete(step, key, value)
                assert step.table("numbers").get(key) == value
            commit(step)
            expected |= {key: value for key, value in changes.items() if value is not None}
            expected = {key: value for key, value in expected.items() if changes.get(key, value) is not None}
    table: TableState = state.tables["numbers"]
    assert {key: table.get(key) for key in table.encoded} == expected
    assert state.row_count() == len(expected)
    for now in (9, 12, 19):
        due = [key for key, value in expected.items() if value <= now and value % 2]
        assert table.due(now, 99) == sorted(due, key=lambda key: (expected[key], key))
        assert table.due(now, 2) == table.due(now, 99)[:2]
    for wanted in ("1", "2", "3"):
        assert sorted(table.keys_of(wanted)) == sorted(key for key in expected if second(key) == wanted)


def test_an_encoded_row_holds_no_more_memory_than_it_needs() -> None:
    """Rows are kept: a buffer of 4 KB for each, which the encoder would leave, made ten times as much of them."""
    row = ("created", "GBP", 1_999, 0, 2, 1_000, (("MUG", 2, 999),))
    tracemalloc.start()
    try:
        rows = [encode_row(row) for _ in range(1_000)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / len(rows) < 2 * len(rows[0]) + 100
