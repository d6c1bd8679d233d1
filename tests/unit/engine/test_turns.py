"""Turns: every task once, whoever takes it; apart, each taker begins with its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicsc.engine.turns import Turns


def taken(turns: Turns, takers: list[int]) -> list[int | None]:
    return [turns.take(taker) for taker in takers]


@given(st.integers(0, 40), st.integers(1, 6), st.booleans(), st.data())
def test_every_task_is_taken_once(tasks: int, takers: int, apart: bool, data: st.DataObject) -> None:
    turns = Turns(tasks, takers, apart=apart)
    order = data.draw(st.lists(st.integers(0, takers - 1), min_size=tasks, max_size=tasks))
    found = taken(turns, order)

    assert sorted(filter(lambda task: task is not None, found)) == list(range(tasks))
    assert taken(turns, list(range(takers))) == [None] * takers


def test_tasks_are_taken_in_order() -> None:
    assert taken(Turns(4, 2), [1, 0, 0, 1, 0]) == [0, 1, 2, 3, None]


def test_apart_each_goes_through_its_own_then_from_the_end_of_the_fullest() -> None:
    turns = Turns(9, 3, apart=True)

    assert taken(turns, [0, 1, 2, 0, 0, 2]) == [0, 3, 6, 1, 2, 7]
    assert taken(turns, [0, 0, 2, 2]) == [5, 4, 8, None]


@pytest.mark.parametrize("apart", [False, True])
def test_what_follows_a_failure_is_not_taken(apart: bool) -> None:
    turns = Turns(8, 2, apart=apart)
    turns.take(0)
    turns.drop_from(3)

    assert taken(turns, [0, 0, 1, 1]) == [1, 2, None, None]


def test_all_can_be_dropped() -> None:
    turns = Turns(8, 2, apart=True)
    turns.drop_from(-1)

    assert taken(turns, [0, 1]) == [None, None]
