"""The connections of a store with somebody in between, who sees every call of the driver and may spoil it.

Only the driver that a store uses is stood in front of: the store, its transactions and what it makes of an error are those
that ship. Every call that can reach the database passes through `Watcher.call`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self

import apsw
import psycopg

from cicsc.store.postgres import database as postgres_database
from cicsc.store.sqlite import database as sqlite_database

SetAttribute = Callable[[Any, str, Any], None]


@dataclass(frozen=True)
class Call:
    """One call of the driver; `connection` is the real one, None while it is being made."""

    what: str
    statement: str
    connection: Any
    is_commit: bool = False


class Watcher(ABC):
    """Who stands between a store and its driver."""

    @abstractmethod
    def call(self, call: Call, carry_out: Callable[[], Any]) -> Any:
        """Carry a call out, or not, and return what it gives."""

    def watch(self, set_attribute: SetAttribute = setattr) -> None:
        """Stand in front of both drivers for all connections that are made from now on."""

        def connect_sqlite(*arguments: Any, **named: Any) -> WatchedSqlite:
            made = self.call(Call("connect", "", None), lambda: apsw.Connection(*arguments, **named))
            return WatchedSqlite(self, made)

        def connect_postgres(*arguments: Any, **named: Any) -> WatchedPostgres:
            made = self.call(Call("connect", "", None), lambda: psycopg.connect(*arguments, **named))
            return WatchedPostgres(self, made)

        set_attribute(sqlite_database, "apsw", SimpleNamespace(**vars(apsw) | {"Connection": connect_sqlite}))
        set_attribute(postgres_database, "psycopg", SimpleNamespace(**vars(psycopg) | {"connect": connect_postgres}))


class _Passing:
    """Hands on what it does not watch."""

    def __init__(self, watcher: Watcher, real: Any) -> None:
        self._watcher = watcher
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


RENEWALS = (sqlite_database.QUERIES["keep_run"], postgres_database.QUERIES["keep_run"])
"""The last statement of a transaction that only renews a lease. It comes when it is time, so it is not counted as a commit."""


class WatchedSqlite(_Passing):
    """A connection of apsw; the end of a transaction that only read is no commit."""

    _writes = False
    _last = ""

    def execute(self, statement: str, *bindings: Any) -> WatchedRows:
        if statement.startswith("begin"):
            self._writes = statement == "begin immediate"
        is_commit = statement == "commit" and self._writes and self._last not in RENEWALS
        self._last = statement
        call = Call("execute", statement, self._real, is_commit)
        rows = self._watcher.call(call, lambda: self._real.execute(statement, *bindings))
        return WatchedRows(self._watcher, rows, self._real)

    def executemany(self, statement: str, bindings: Any) -> Any:
        call = Call("executemany", statement, self._real)
        return self._watcher.call(call, lambda: self._real.executemany(statement, bindings))


class WatchedRows(_Passing):
    """A cursor of apsw, which works on as rows are asked for."""

    def __init__(self, watcher: Watcher, real: Any, connection: Any) -> None:
        super().__init__(watcher, real)
        self._connection = connection

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._watcher.call(Call("step", "", self._connection), lambda: next(self._real))

    def fetchone(self) -> Any:
        return self._watcher.call(Call("step", "", self._connection), self._real.fetchone)

    def fetchall(self) -> Any:
        return self._watcher.call(Call("step", "", self._connection), self._real.fetchall)


class WatchedPostgres(_Passing):
    """A connection of psycopg."""

    _last = b""

    def execute(self, statement: bytes, *parameters: Any) -> Any:
        is_commit = statement == b"commit" and self._last not in RENEWALS
        self._last = statement
        call = Call("execute", statement.decode(), self._real, is_commit)
        return self._watcher.call(call, lambda: self._real.execute(statement, *parameters))

    def wait(self, work: Any) -> Any:
        return self._watcher.call(Call("wait", "", self._real), lambda: self._real.wait(work))

    def cursor(self, *arguments: Any, **named: Any) -> WatchedCursor:
        return WatchedCursor(self._watcher, self._real.cursor(*arguments, **named), self._real)


class WatchedCursor(_Passing):
    """A cursor of psycopg, which holds its rows in the server or copies rows into it."""

    def __init__(self, watcher: Watcher, real: Any, connection: Any) -> None:
        super().__init__(watcher, real)
        self._connection = connection

    def __enter__(self) -> Self:
        self._real.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._watch("close", lambda: self._real.__exit__(*error))

    def execute(self, statement: bytes, *parameters: Any) -> Any:
        return self._watch("execute", lambda: self._real.execute(statement, *parameters))

    def fetchmany(self, size: int) -> Any:
        return self._watch("fetch", lambda: self._real.fetchmany(size))

    def copy(self, statement: bytes) -> WatchedCopy:
        return WatchedCopy(self, self._real.copy(statement))

    def _watch(self, what: str, carry_out: Callable[[], Any]) -> Any:
        return self._watcher.call(Call(what, "", self._connection), carry_out)


class WatchedCopy:
    """Rows on their way into the server in bulk, or out of it."""

    def __init__(self, cursor: WatchedCursor, real: Any) -> None:
        self._cursor = cursor
        self._real = real
        self._copy: Any = None

    def __enter__(self) -> Self:
        self._copy = self._cursor._watch("copy", self._real.__enter__)
        return self

    def __exit__(self, *error: object) -> Any:
        if error[0] is not None:
            return self._real.__exit__(*error)
        return self._cursor._watch("copied", lambda: self._real.__exit__(*error))

    def write_row(self, row: Any) -> None:
        self._cursor._watch("copy a row", lambda: self._copy.write_row(row))

    def write(self, lines: bytes) -> None:
        self._cursor._watch("copy rows", lambda: self._copy.write(lines))
