"""How a whole is shared: everything once, the largest share first."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicsc.engine.folding import share_ends


@given(st.integers(1, 600), st.integers(0, 10**9))
def test_shares_are_all_of_it_and_shrink(shares: int, whole: int) -> None:
    ends = share_ends(shares, whole)
    sizes = [end - start for start, end in pairwise([0, *ends])]

    assert (len(ends), ends[-1]) == (shares, whole)
    assert all(0 <= later <= sooner + 1 for sooner, later in pairwise(sizes))
    assert sizes[0] <= 2 * whole / (shares + 1)


@pytest.mark.parametrize(
    ("shares", "whole", "ends"), [(1, 7, [7]), (4, 100, [40, 70, 90, 100]), (3, 0, [0, 0, 0]), (4, 2, [0, 1, 1, 2])]
)
def test_ends_of_shares(shares: int, whole: int, ends: list[int]) -> None:
    assert share_ends(shares, whole) == ends
