"""Layouts: where a column stands, in rows of any width."""

import time

from cicsc.replay.layout import Layout, named_layout

COLUMNS = 30_000
SECONDS_MAX = 20
"""Many times what it takes, and a part of what looking through all columns for each would take."""


def test_an_open_layout_grows_by_what_can_be_observed():
    layout = Layout()
    assert [layout.position("attrs", "a"), layout.position("row", "a"), layout.position("attrs", "a")] == [0, 1, 0]
    assert layout.position("state", None) == 2
    assert layout.position("arg", "a") is None
    assert len(layout.columns) == 3


def test_a_closed_layout_holds_what_it_names():
    layout = named_layout(["a", "n"], frozenset({"n"}))
    assert [layout.position("row", "n"), layout.position("row", "b"), layout.position("attrs", "a")] == [1, None, None]
    assert [layout.position("agg", "n"), layout.position("agg", "a")] == [1, None]


def test_a_wide_row_is_laid_out_in_time_that_grows_with_its_columns():
    names = [f"f{number}" for number in range(COLUMNS)]
    began = time.process_time()
    layout, closed = Layout(), named_layout(names)
    assert [layout.position("row", name) for name in names] == [closed.position("row", name) for name in names]
    assert time.process_time() - began < SECONDS_MAX
