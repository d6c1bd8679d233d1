"""Arithmetic that is done on doubles comes to what it comes to on exact integers, wherever these are meant."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cicsc.expression import values
from sizes import size

EDGE = 2**53
NUMBERS = st.one_of(
    st.integers(-1000, 1000).map(lambda cents: cents / 100),
    st.integers(-1000, 1000).flatmap(lambda number: st.sampled_from([number, float(number)])),
    st.builds(lambda edge, step: edge + step, st.sampled_from([EDGE, -EDGE, EDGE // 2]), st.integers(-3, 3)),
    st.builds(
        lambda edge, step: float(edge + step), st.sampled_from([EDGE, -EDGE, EDGE // 2, EDGE**2]), st.integers(-3, 3)
    ),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
)


def plainly(operation: Callable[[Any, Any], Any], *operands: float) -> int | float | None:
    """Apply an operation to numbers of which each integral one is an integer."""
    exact = [int(one) if isinstance(one, float) and one.is_integer() else one for one in operands]
    try:
        return values.number(operation(*exact))
    except OverflowError:
        return None


@pytest.mark.parametrize(
    ("function", "operation"),
    [(values.add, operator.add), (values.subtract, operator.sub), (values.multiply, operator.mul)],
)
@settings(max_examples=size(500, ci=3_000, full=100_000))
@given(left=NUMBERS, right=NUMBERS)
@example(left=float(EDGE), right=1.0)
@example(left=EDGE + 1, right=-3.0)
@example(left=-0.0, right=1.5)
def test_doubles_are_exact(
    function: Callable[[object, object], object], operation: Callable[[Any, Any], Any], left: float, right: float
) -> None:
    found, expected = function(left, right), plainly(operation, left, right)

    assert (type(found), found) == (type(expected), expected)
