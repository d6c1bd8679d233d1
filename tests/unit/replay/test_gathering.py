"""Queries that begin with the rows of some streams: divided where that comes to the same, and joined in order."""

import pytest

from cicsc.replay.gathering import Counting, First, Grouping
from cicsc.replay.query import FIRST_ROWS_MAX, compile_query
from unit.replay.test_query import bundle, lit, row

TOTAL = {"order_by": [{"expr": row("total"), "dir": "desc"}]}
BY_CUSTOMER = {
    "group_by": {
        "keys": [{"name": "customer", "expr": row("customer")}],
        "aggs": {
            "rows": {"count": {}},
            "sum": {"sum": {"expr": row("total")}},
            "least": {"min": {"expr": row("total")}},
            "most": {"max": {"expr": row("total")}},
        },
    }
}
SHOWN = {"project": {"fields": [{"name": "total", "expr": row("total")}, {"name": "by", "expr": row("customer")}]}}


def compiled(*steps):
    made = bundle({"source": {"snap": {"type": "Order"}}, "pipeline": list(steps)})
    return compile_query(made.constraints["c"].query, made.types)


def both(program, *pieces):
    """The rows of a query over all pieces at once, and over what was gathered of each."""
    gathered = [program.division.gathered(piece, 1, "me") for piece in pieces]
    at_once = program.rows([[row for piece in pieces for row in piece]], 1, "me")
    return list(at_once), list(program.division.rows(gathered, 1, "me"))


def test_rows_that_are_only_counted_are_a_number():
    program = compiled(SHOWN, {"having": {"gt": [row("total"), lit(1)]}})
    at_once, joined = both(program, [[1, "x"], [2, "x"]], [], [[3, "y"]])

    assert isinstance(program.division.gathering, Counting)
    assert program.division.gathered([[2, "x"], [3, "y"]], 1, "me") == 2
    assert program.division.gathering.size(1_000) == 1
    assert (len(at_once), joined) == (2, [[], []])


def test_groups_with_the_same_key_are_merged_in_the_order_of_their_first_rows():
    program = compiled(BY_CUSTOMER, {"filter": {"gt": [row("rows"), lit(1)]}})
    pieces = [["x", 5], ["y", None]], [["z", 0.5], ["y", 0.25], ["x", 7]], [["z", 2], ["y", 10**17]]
    at_once, joined = both(program, *pieces)

    assert isinstance(program.division.gathering, Grouping)
    assert program.division.gathering.size(program.division.gathered(pieces[1], 1, "me")) == 3
    assert joined == at_once
    assert [group[:2] for group in joined] == [["x", 2], ["y", 3], ["z", 2]]


def test_equal_keys_and_numbers_are_those_of_the_first_piece():
    _, (found,) = both(compiled(BY_CUSTOMER), [["x", 1]], [["x", 1.0]])

    assert [type(value) for value in found[3:]] == [int, int]


def test_fractions_of_later_pieces_are_added_too():
    at_once, joined = both(compiled(BY_CUSTOMER), [["x", 1]], [["x", 0.5]], [["x", 0.25], ["x", 0.125]])

    assert joined == at_once == [["x", 4, 1.875, 0.125, 1]]


def test_a_sum_of_nothing_stays_null():
    _, (found,) = both(compiled(BY_CUSTOMER), [["x", None]], [["x", "1"]])

    assert found == ["x", 2, None, None, None]


def test_only_the_first_of_an_order_are_gathered():
    program = compiled(SHOWN, TOTAL, {"offset": 1}, {"limit": 2}, {"filter": {"ne": [row("by"), lit("c")]}})
    pieces = [[1, "a"], [9, "b"], [7, "c"], [7, "d"]], [[7, "e"]], [[8, "f"], [9, "g"]]
    at_once, joined = both(program, *pieces)

    assert isinstance(program.division.gathering, First)
    assert program.division.gathered(pieces[0], 1, "me") == [[9, "b"], [7, "c"], [7, "d"]]
    assert program.division.gathering.size([[1, "a"]]) == 1
    assert joined == at_once == [[9, "g"], [8, "f"]]


@pytest.mark.parametrize("order", [(), (TOTAL,)], ids=["as they come", "ordered"])
def test_several_offsets_add_up(order):
    program = compiled(SHOWN, *order, {"offset": 2}, {"offset": 1}, {"limit": 2})
    pieces = [[9, "a"], [8, "b"]], [[7, "c"], [6, "d"], [5, "e"], [4, "f"]]
    at_once, joined = both(program, *pieces)

    assert joined == at_once == [[6, "d"], [5, "e"]]


def test_rows_are_taken_as_they_come_without_an_order():
    at_once, joined = both(compiled(SHOWN, {"limit": 3}), [[1, "a"], [2, "b"]], [[3, "c"], [4, "d"]])

    assert joined == at_once == [[1, "a"], [2, "b"], [3, "c"]]


@pytest.mark.parametrize(
    "steps",
    [
        (TOTAL,), (TOTAL, {"offset": 3}), (TOTAL, SHOWN, {"limit": 3}), ({"offset": 3},),
        (TOTAL, {"limit": FIRST_ROWS_MAX + 1}), ({"offset": FIRST_ROWS_MAX}, {"limit": 1}),
    ],
    ids=["order", "offset", "another step between", "offset alone", "too many", "too many before"],
)  # fmt: skip
def test_what_needs_all_rows_is_not_divided(steps):
    assert compiled(*steps).division is None


def test_a_join_is_not_divided():
    joined = {"left": "Order", "right": "Customer", "on": {"left_field": "customer", "right_field": "entity_id"}}
    made = bundle({"source": {"join": joined}, "pipeline": []})

    assert compile_query(made.constraints["c"].query, made.types).division is None
