"""Receiving the rows of a COPY, as many at once as have come.

The driver hands out one row at a time, which for a large tenant costs more than the decoding of what is in them. This
goes one layer below, to the driver's wrapper of libpq, and is run by the driver as its own generators are, so that
waiting, signals and cancelling stay with it.
Source: the documentation of PostgreSQL, libpq, "Functions for Receiving COPY Data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.waiting import Wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection
    from psycopg.abc import Buffer, PQGen
    from psycopg.pq.abc import PGconn, PGresult


def received_rows(connection: Connection[Any]) -> Iterator[list[Buffer]]:
    """Yield the rows of the COPY that a connection is in, those at once that are in the memory of libpq, to the end.

    Raises the driver's error where the COPY ends with one.
    """
    receiver = _Receiver(connection.pgconn)
    while not receiver.is_over:
        if rows := connection.wait(receiver.rows()):
            yield rows


class _Receiver:
    def __init__(self, pgconn: PGconn) -> None:
        self._pgconn = pgconn
        self.is_over = False

    def rows(self) -> PQGen[list[Buffer]]:
        """Wait for a row, then return all that are there."""
        rows: list[Buffer] = []
        receive, add = self._pgconn.get_copy_data, rows.append
        while True:
            size, row = receive(1)
            if size > 0:
                add(row)
            elif size < 0:
                self.is_over = True
                yield from self._end()
                return rows
            elif rows:
                return rows
            else:
                yield from self._more()

    def _more(self) -> PQGen[None]:
        is_ready = False
        while not is_ready:
            is_ready = bool((yield Wait.R))
        self._pgconn.consume_input()

    def _end(self) -> PQGen[None]:
        results: list[PGresult] = []
        is_done = False
        while not is_done:
            if self._pgconn.is_busy():
                yield from self._more()
            elif (result := self._pgconn.get_result()) is not None:
                results.append(result)
            else:
                is_done = True
        if results[0].status != ExecStatus.COMMAND_OK:
            raise error_from_result(results[0])
