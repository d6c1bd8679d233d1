"""Rows of a COPY come whole and in order, however the network cuts them, and an error at its end is raised."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.waiting import Ready, Wait

from cicsc.store.postgres.receiving import _Receiver, received_rows
from postgres.conftest import Connect


@pytest.fixture
def connection(connect: Connect) -> psycopg.Connection:
    return connect()


def received(connection: psycopg.Connection, query: str) -> list[list[bytes]]:
    with connection.cursor() as cursor, cursor.copy(f"copy ({query}) to stdout"):
        return [[bytes(row) for row in rows] for rows in received_rows(connection)]


@pytest.mark.parametrize("count", [0, 1, 2, 100_000])
def test_rows_come_in_order(connection: psycopg.Connection, count: int) -> None:
    found = received(connection, f"select generate_series(1, {count})")

    assert [row for rows in found for row in rows] == [b"%d\n" % number for number in range(1, count + 1)]
    assert all(found)
    assert len(found) <= max(1, count // 10)  # many at once
    assert connection.execute("select 1").fetchone() == (1,)


def test_long_row_comes_whole(connection: psycopg.Connection) -> None:
    found = received(connection, "select repeat('x', 10000000) union all select 'y'")
    assert [len(row) for rows in found for row in rows] == [10_000_001, 2]


@pytest.mark.parametrize("before", [0, 1, 100_000])
def test_error_in_the_middle_is_raised(connection: psycopg.Connection, before: int) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        received(connection, f"select 1 / ({before} - number) from generate_series(0, {before + 10}) number")
    assert connection.execute("select 1").fetchone() == (1,)


class Slow:
    """A connection on which the last result is late."""

    def __init__(self, done: object) -> None:
        self.busy = [True, True, False, False]
        self.results = [done, None]
        self.consumed = 0

    def get_copy_data(self, _: int) -> tuple[int, bytes]:
        return -1, b""

    def is_busy(self) -> bool:
        return self.busy.pop(0)

    def get_result(self) -> object:
        return self.results.pop(0)

    def consume_input(self) -> None:
        self.consumed += 1


def test_result_that_is_late_is_waited_for(connection: psycopg.Connection) -> None:
    slow = Slow(connection.pgconn.exec_(b"set datestyle to iso"))
    receiver = _Receiver(slow)
    coming, waits = receiver.rows(), []
    try:
        waits.append(next(coming))
        waits.append(coming.send(Ready.NONE))
        waits.append(coming.send(Ready.R))
        rows = coming.send(Ready.R)
    except StopIteration as ended:
        rows = ended.value

    assert (rows, waits) == ([], [Wait.R] * 3)
    assert (receiver.is_over, slow.consumed) == (True, 2)
