"""Rows of a query: in memory while few, on disk beyond."""

from cicsc.engine.rows import RowStore

ROWS = [[number, None, "text \u2028", 10**30, 0.5, {"a": [True]}] for number in range(7)]


def filled(limit):
    store = RowStore(limit)
    for row in ROWS:
        store.append(row)
    return store


def test_rows_come_in_order_wherever_they_are():
    for limit in (1, 2, 3, 7, 100):
        store = filled(limit)
        assert list(store) == ROWS
        assert list(store) == ROWS
        store.close()


def test_rows_may_be_added_after_iterating():
    store = filled(3)
    assert len(list(store)) == 7
    store.append([1])
    assert list(store) == [*ROWS, [1]]
    store.close()


def test_closing_forgets():
    store = filled(3)
    store.close()
    assert list(store) == []
    store.close()
