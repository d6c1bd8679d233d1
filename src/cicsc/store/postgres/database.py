"""One connection to a PostgreSQL database: its statements by name, its transactions, its errors as errors of ours.

Nothing else of the store sees an error of the driver. What the rows mean is not known here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from inspect import GEN_CLOSED, getgeneratorstate
from itertools import chain, count
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.abc import Buffer
from psycopg.pq import TransactionStatus

from cicsc.errors import StoreError
from cicsc.store.postgres.address import Address
from cicsc.store.postgres.driver_errors import (
    connect_error,
    import_error,
    our_error,
    read_only_error,
    standby_error,
)
from cicsc.store.postgres.pooling import require_whole_session
from cicsc.store.postgres.receiving import received_rows
from cicsc.store.refusals import lone_surrogate
from cicsc.store.sql import read_queries
from cicsc.store.user import OneUser

# What the driver logs is raised as well, or of no consequence; where nobody collects logs, Python would print it.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

Bindings: TypeAlias = tuple[object, ...] | Mapping[str, object]

QUERIES: Final = {
    name: text.encode()
    for package, file in (("cicsc.store", "runs.sql"), (__package__, "queries.sql"), (__package__, "sessions.sql"))
    for name, text in read_queries(package, file).items()
}

FETCH_ROWS_MAX: Final = 2048
FETCH_BYTES: Final = 2**22
"""How much of a long result is held at once, in rows, and in bytes as far as the rows before tell."""

_SAMPLED_ROWS: Final = 8
"""Of so many rows one is measured, since measuring all takes as long as fetching half of them."""

READ_COMMITTED: Final = b"begin isolation level read committed read write"
SNAPSHOT: Final = b"begin isolation level repeatable read read only"

SNAPSHOT_ID: Final = re.compile(r"[0-9A-F]{1,16}(?:-[0-9A-F]{1,16}){1,3}")
"""The form of what pg_export_snapshot returns, such as 00000007-0000001B-1."""


class Database:
    """A connection on which each statement commits by itself unless `writing` or `reading` is entered.

    It waits up to `wait_s` seconds for the locks of others.
    """

    def __init__(self, address: Address, *, wait_s: float) -> None:
        self.name = address.name
        self.schema_seen = False
        self.user = OneUser()
        self._cursors = count(1)
        self._copying: Generator[list[Buffer]] | None = None
        try:
            self._connection = psycopg.connect(**address.parameters, autocommit=True)  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise connect_error(self.name, error) from error
        try:
            with self._translated():
                require_whole_session(address, self._connection)
            self.run("set_up", (str(round(wait_s * 1000)),))
        except BaseException:
            self.close()
            raise

    @property
    def is_idle(self) -> bool:
        """Whether the connection can begin a transaction."""
        return self._connection.info.transaction_status is TransactionStatus.IDLE

    @property
    def is_lost(self) -> bool:
        """Whether the connection is closed, by us or by the server."""
        return self._connection.closed

    def close(self) -> None:
        """End the connection, and with it a transaction that is open; one of another process is left to it."""
        if self.user.is_here:
            self._connection.close()

    @property
    def server_version(self) -> int:
        """The version of the server, such as 160014 for 16.14."""
        return self._connection.info.server_version

    def require_writable(self) -> None:
        """Raise STORE_FORBIDDEN where transactions are read-only unless they say otherwise, as ours would.

        Providers set this for a disk that is nearly full, others to freeze a database. The server tells of each change.
        """
        if self._connection.info.parameter_status("default_transaction_read_only") == "on":
            raise read_only_error(self.name)

    def run_script(self, script: str) -> None:
        """Run the statements of a script."""
        with self._translated():
            self._connection.execute(script.encode())

    def run(self, name: str, bindings: Bindings = ()) -> int:
        """Run a statement; return how many rows it changed."""
        with self._translated():
            return self._connection.execute(QUERIES[name], bindings).rowcount

    def row(self, name: str, bindings: Bindings = ()) -> Any | None:
        """Return the only row of a query, None when there is none."""
        with self._translated():
            return self._connection.execute(QUERIES[name], bindings).fetchone()

    def value(self, name: str, bindings: Bindings = ()) -> Any | None:
        """Return the only column of the only row of a query, None when there is none."""
        row = self.row(name, bindings)
        return None if row is None else row[0]

    def all_rows(self, name: str, bindings: Bindings = ()) -> list[Any]:
        """Return all rows of a query that has few."""
        with self._translated():
            return self._connection.execute(QUERIES[name], bindings).fetchall()

    def rows(self, name: str, bindings: Bindings = ()) -> Iterator[Any]:
        """Yield the rows of a query as they are asked for; only inside a transaction, with a cursor in the server."""
        return chain.from_iterable(self.batches(name, bindings))

    def batches(self, name: str, bindings: Bindings = ()) -> Iterator[list[Any]]:
        """Yield the rows as `rows` does, as many at a time as are fetched at once."""
        with self._translated(), self._server_cursor() as cursor:
            cursor.execute(QUERIES[name], bindings)
            number = 1
            while rows := cursor.fetchmany(number):
                yield rows
                sample = rows[::_SAMPLED_ROWS]
                size = sum(map(_text_length, zip(*sample, strict=True)))
                number = max(1, min(FETCH_ROWS_MAX, 4 * number, FETCH_BYTES * len(sample) // (size + 1)))

    @contextmanager
    def _server_cursor(self) -> Iterator[psycopg.ServerCursor[Any]]:
        """Give a cursor in the server; who leaves its rows is not told that it could not be closed."""
        cursor = self._connection.cursor(f"rows_{next(self._cursors)}", binary=True)
        try:
            yield cursor
        except GeneratorExit:
            with suppress(psycopg.Error):  # it ends with its transaction, and that with the session
                cursor.close()
            raise
        finally:
            cursor.close()

    def copy(self, name: str, rows: Iterable[tuple[object, ...]]) -> int:
        """Write rows in bulk; return their number. What their iteration raises passes through, with nothing written."""
        with self._translated(), self._connection.cursor() as cursor:
            with cursor.copy(QUERIES[name]) as copy:
                for row in rows:
                    copy.write_row(row)
            return cursor.rowcount

    def copy_lines(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write rows in bulk that are lines of COPY already, some whole ones in each piece."""
        with self._translated(), self._connection.cursor() as cursor, cursor.copy(QUERIES[name]) as copy:
            for lines in pieces:
                copy.write(lines)

    def copied_pieces(self, name: str, rows_wanted: int) -> Iterator[bytes]:
        """Yield the rows of a COPY, about as many lines at once as are wanted, fewer where they are long.

        Only inside a transaction; nothing else can be done with the connection meanwhile.
        """
        self._copying = self._copied(name)
        with closing(self._copying) as batches:
            pieces, rows_count, size = [], 0, 0
            for rows in batches:
                pieces.append(b"".join(rows))
                rows_count += len(rows)
                size += len(pieces[-1])
                if rows_count >= rows_wanted or size >= FETCH_BYTES:
                    yield b"".join(pieces)
                    pieces, rows_count, size = [], 0, 0
            if pieces:
                yield b"".join(pieces)

    def _copied(self, name: str) -> Generator[list[Buffer]]:
        with self._translated(), self._connection.cursor() as cursor, cursor.copy(QUERIES[name]):
            yield from received_rows(self._connection)
        self._copying = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Give a transaction, READ COMMITTED, which commits when the block ends well.

        Raises STORE_OUTCOME_UNKNOWN when the connection is lost while it commits.
        """
        with self._transaction(READ_COMMITTED):
            yield
            self._commit()

    @contextmanager
    def reading(self, snapshot_id: str | None = None) -> Iterator[None]:
        """See the database as it is now for the time of the block, whatever is written meanwhile.

        With `snapshot_id`, see what the transaction sees that has exported it; raises STORE_MOMENT_LOST.
        """
        with self._transaction(SNAPSHOT):
            if snapshot_id is not None:
                self._import_snapshot(snapshot_id)
            yield
            self.rollback()

    def export_snapshot(self) -> str:
        """Let other transactions see what this one sees, until it ends; return the id of the snapshot."""
        return str(self.value("export_snapshot"))

    def _import_snapshot(self, snapshot_id: str) -> None:
        """Begin with the snapshot of another transaction; SET takes no parameters, so the driver quotes the id."""
        if not SNAPSHOT_ID.fullmatch(snapshot_id):
            raise ValueError(f"{snapshot_id!r} is no id of a snapshot")
        try:
            psycopg.ClientCursor(self._connection).execute(QUERIES["import_snapshot"], (snapshot_id,))
        except psycopg.Error as error:
            raise import_error(self.name, error) from error

    def rollback(self) -> None:
        """End the transaction that is open; a connection on which that fails is closed.

        So is one on which rows were being copied when an error or a signal came out of the copy: the driver holds its
        lock as long as the error holds the copy, and would wait for it for ever.
        """
        copying, self._copying = self._copying, None
        if copying is not None:
            if getgeneratorstate(copying) == GEN_CLOSED:
                self._connection.close()
            with suppress(StoreError):
                copying.close()  # which whoever was reading it has left
        if self.is_idle:
            return
        if self._connection.info.transaction_status is not TransactionStatus.ACTIVE:
            with suppress(psycopg.Error):
                self._connection.execute(b"rollback")
        if not self.is_idle:
            self._connection.close()

    @contextmanager
    def _transaction(self, begin: bytes) -> Iterator[None]:
        with self.user.inside():
            if not self.is_idle:
                raise ValueError("a transaction of the store is open")
            try:
                self._begin(begin)
                yield
            except BaseException:  # also a signal just when it has begun
                self.rollback()
                raise

    def _begin(self, begin: bytes) -> None:
        with self._translated():
            try:
                self._connection.execute(begin)
            except psycopg.errors.FeatureNotSupported as error:
                raise standby_error(self.name, error) from error

    def _commit(self) -> None:
        try:
            status = self._connection.execute(b"commit").statusmessage
        except psycopg.OperationalError as error:
            if not self._connection.closed:
                raise our_error(self.name, error) from error
            raise StoreError(
                "STORE_OUTCOME_UNKNOWN",
                f"lost the connection to {self.name} during a commit: it may or may not have been carried out",
                hint="look what is there before trying again; a command with the same id is safe to repeat",
            ) from error
        except psycopg.Error as error:
            raise our_error(self.name, error) from error
        if status != "COMMIT":
            raise StoreError(
                "STORE_CONFLICT",
                f"a transaction on {self.name} was rolled back, since one of its statements failed before",
                hint="nothing was changed",
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise our_error(self.name, error) from error
        except UnicodeEncodeError as error:
            raise lone_surrogate() from error


def _text_length(column: tuple[object, ...]) -> int:
    """Return how many characters a column of texts holds, 0 for one of numbers."""
    some = next(filter(None, column), None)
    return len("".join(filter(None, column))) if isinstance(some, str) else 0  # type: ignore[arg-type]
