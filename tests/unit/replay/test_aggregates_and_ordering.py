"""Aggregates and the order of JSON values."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicsc.replay.aggregates import ExactSum, Largest, RowCount, Smallest
from cicsc.replay.ordering import order_key


def aggregate(kind, values):
    accumulator = kind()
    for value in values:
        accumulator.include(value)
    return accumulator.result()


@pytest.mark.parametrize(
    ("values", "total", "smallest", "largest"),
    [
        ([], None, None, None), (["1", None, True, [], {}], None, None, None), ([1, 2, "x", 3], 6, 1, 3), ([0.5, 0.5], 1, 0.5, 0.5),
        ([1, 0.25, None], 1.25, 0.25, 1), ([-1, -2.5], -3.5, -2.5, -1), ([1e308, 1e308], 2 * int(1e308), 1e308, 1e308), ([0], 0, 0, 0),
        ([10**999 * 9, 10**999 * 9], None, 10**999 * 9, 10**999 * 9), ([1e16, 1, -1e16], 1, -1e16, 1e16), ([2, 1.0], 3, 1.0, 2),
    ],
)  # fmt: skip
def test_aggregates(values, total, smallest, largest):
    found = aggregate(ExactSum, values)
    assert found == total
    assert type(found) is type(total)
    assert aggregate(Smallest, values) == smallest
    assert aggregate(Largest, values) == largest
    assert aggregate(RowCount, values) == len(values)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=20))
def test_a_sum_of_fractions_is_rounded_once(values):
    fractions = [value for value in values if not value.is_integer()]
    assert aggregate(ExactSum, fractions) == (math.fsum(fractions) if fractions else None)


def test_integral_numbers_are_added_exactly():
    assert aggregate(ExactSum, [1.0, 2.0**53]) == 2**53 + 1


@given(st.lists(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)), max_size=6))
def test_a_sum_does_not_depend_on_the_order(values):
    assert len({aggregate(ExactSum, order) for order in itertools.islice(itertools.permutations(values), 24)}) == 1


def test_order_of_kinds():
    ascending = [None, -1, 0.5, 2, 10**30, "", "a", "b", "\uffff", "\U0001f600", False, True, [1], [], {"a": 1}, {}]
    assert sorted(random.Random(7).sample(ascending, len(ascending)), key=order_key) == ascending
