"""One connection to a SQLite file: how it is set up, its transactions, and its errors as errors of ours.

Nothing else of the store sees an error of the driver. What the rows mean is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import islice
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import apsw

from cicsc.errors import CicscError, FenceError, InputError, StoreError
from cicsc.store.refusals import lone_surrogate
from cicsc.store.session import Bindings
from cicsc.store.sql import read_queries, sqlite_spelling
from cicsc.store.sqlite.kinds import RowKinds
from cicsc.store.sqlite.place import identity, moved, unusable
from cicsc.store.user import ANOTHER_THREAD, OneUser

QUERIES: Final = {
    **{name: sqlite_spelling(text) for name, text in read_queries("cicsc.store", "runs.sql").items()},
    **read_queries(__package__, "queries.sql"),
}

BATCH_ROWS: Final = 256
"""Rows of a long result that are taken at once."""

PAGE_CACHE_KIB: Final = 32 * 1024
"""Memory of one connection for pages of the file."""

POLL_S: Final = 0.003
"""How often a locked file is looked at. SQLite itself looks every 0.1 s, and may meet busy writers for seconds."""

SIGNAL_STEPS: Final = 100_000
"""Steps of SQLite after which a long look lets Python heed a signal."""

SAFE_SQLITE: Final = (3, 51, 3)
"""The first SQLite without the WAL-reset fault (3.7.0 to 3.51.2): a checkpoint beside a write corrupted the file."""

FENCE_CODES: Final = frozenset(
    {
        "TENANT_PAUSED",
        "STALE_GENERATION",
        "UNKNOWN_EVENT_TYPE",
        "WRONG_SEQ",
        "UNKNOWN_TENANT",
        "HISTORY_IMMUTABLE",
        "LONE_SURROGATE",
    }
)

_KINDS: Final[tuple[tuple[type[apsw.Error], str, str], ...]] = (
    (apsw.BusyError, "STORE_LOCKED", "another program writes to the file; it is safe to try again"),
    (apsw.LockedError, "STORE_LOCKED", "another program writes to the file; it is safe to try again"),
    (apsw.FullError, "STORE_FULL", "the write was undone; make room on the disk and try again"),
    (apsw.NotADBError, "STORE_FOREIGN", "name another file: this one is no SQLite database"),
    (apsw.CorruptError, "STORE_DAMAGED", "keep a copy of the file and of its -wal before anything else"),
    (apsw.SQLError, "STORE_DAMAGED", "something changed the tables; store-check names what is missing"),
    (apsw.ConstraintError, "STORE_DAMAGED", "something changed the tables; store-check names what is missing"),
)


class Database:
    """A connection that waits up to `wait_s` seconds for other writers, and whose commits survive a power cut.

    `path` is what messages call the file; `file` is where it is, by default the same.
    """

    def __init__(self, path: Path, *, wait_s: float, create: bool = False, file: Path | None = None) -> None:
        _require_safe(apsw.sqlite_lib_version())
        self.path = path
        self._file = file or path
        self.user = OneUser()
        self._cursors: set[apsw.Cursor] = set()
        self._kinds = {name: RowKinds(path) for name in QUERIES}
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
        with self._translated():
            self._connection = apsw.Connection(str(self._file), flags=flags)
            self._identity = identity(self._file)  # afterwards, since to open it for writing may copy it (overlayfs)
            self._connection.set_busy_handler(_Patience(wait_s))
            self._connection.execute(f"pragma synchronous = full; pragma cache_size = -{PAGE_CACHE_KIB}").fetchall()

    def close(self) -> None:
        """End the connection, and with it whatever was being read or written; one of another process is left to it."""
        if not self.user.is_here:
            return
        # The driver knows its cursors by weak references, which are gone already when a forgotten reading is collected.
        for cursor in tuple(self._cursors):
            cursor.close(force=True)
        self._connection.close(force=True)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection.in_transaction

    @property
    def has_moved(self) -> bool:
        """Whether another file is where this one was when it was opened, or none."""
        return identity(self._file) != self._identity

    def run_script(self, script: str) -> None:
        """Run the statements of a script."""
        with self._translated():
            self._connection.execute(script).fetchall()

    def run(self, name: str, bindings: Bindings = ()) -> int:
        """Run a statement; return how many rows it changed."""
        with self._translated():
            self._connection.execute(QUERIES[name], bindings)
            return self._connection.changes()

    def run_many(self, name: str, bindings: Iterable[Bindings]) -> int:
        """Run a statement with each of the bindings; what their iteration raises passes through.

        Returns how many rows were changed, those that triggers changed included.
        """
        with self._translated():
            before = self._connection.total_changes()
            self._connection.executemany(QUERIES[name], bindings)
            return self._connection.total_changes() - before

    def rows(self, name: str, bindings: Bindings = ()) -> Iterator[Any]:
        """Yield the rows of a query, tuples of its columns, as they are asked for."""
        checked = self._kinds[name].checked
        with self._translated():
            cursor = self._connection.execute(QUERIES[name], bindings)
            self._cursors.add(cursor)
            try:
                for row in cursor:
                    yield checked(cursor, row)
            finally:
                self._cursors.discard(cursor)
                cursor.close(force=True)

    def batches(self, name: str, bindings: Bindings = ()) -> Iterator[list[Any]]:
        """Yield the rows as `rows` does, some at a time."""
        rows = self.rows(name, bindings)
        while batch := list(islice(rows, BATCH_ROWS)):
            yield batch

    def row(self, name: str, bindings: Bindings = ()) -> Any | None:
        """Return the only row of a query, None when there is none."""
        with self._translated():
            cursor = self._connection.execute(QUERIES[name], bindings)
            row = next(cursor, None)
            return None if row is None else self._kinds[name].checked(cursor, row)

    def value(self, name: str, bindings: Bindings = ()) -> Any | None:
        """Return the only column of the only row of a query, None when there is none."""
        row = self.row(name, bindings)
        return None if row is None else row[0]

    def damage(self) -> list[str]:
        """Name what SQLite finds wrong with the file, up to the 100 faults that it tells; a signal ends the look."""
        found: list[str] = []
        with self._translated():
            self._connection.set_progress_handler(lambda: False, SIGNAL_STEPS)
            try:
                found += (text for (text,) in self._connection.execute(QUERIES["integrity_check"]) if text != "ok")
            except apsw.CorruptError as error:  # where it could not look on
                found.append(str(error))
            finally:
                self._connection.set_progress_handler(None)
        return [" ".join(text.removeprefix("*** in database main ***").split()) for text in found]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the file's write lock: a transaction that commits when the block ends well.

        SQLite goes on with a file that nobody will find again, so a write into one that was moved away is refused.
        """
        with self._transaction("begin immediate"):
            yield
            if self.has_moved:
                raise moved(self.path)

    def reading(self) -> AbstractContextManager[None]:
        """See the file as it is now for the time of the block, whatever is written meanwhile."""
        return self._transaction("begin")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self.user.inside():
            if self.in_transaction:
                raise ValueError("a transaction of the store is open")
            with self._begun(begin):
                yield

    @contextmanager
    def _begun(self, begin: str) -> Iterator[None]:
        try:
            with self._translated():
                self._connection.execute(begin)
            yield
            with self._translated():
                self._connection.execute("commit")
        except BaseException:
            # A full disk may have ended the transaction already, and a failed commit may have left it open. A signal
            # may have come just when it had begun.
            with suppress(apsw.Error):
                if self._connection.in_transaction:
                    self._connection.execute("rollback")
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except apsw.ThreadingViolationError as error:
            raise ValueError(ANOTHER_THREAD) from error
        except apsw.NoMemError as error:
            raise MemoryError(f"SQLite: {error}") from error
        except apsw.Error as error:
            raise _our_error(self.path, error) from error
        except UnicodeEncodeError as error:
            raise lone_surrogate() from error
        except UnicodeDecodeError as error:
            raise InputError(
                "EVENT_UNREADABLE",
                f"cannot read a text in store {str(self.path)!r}: expected UTF-8, found other bytes",
                hint="a program that writes to the store by itself left it; events are never changed in place",
            ) from error


class _Patience:
    """Waits for the locks of others, up to `wait_s` seconds each time; tells SQLite whether to try again."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._deadline = 0.0

    def __call__(self, attempt: int) -> bool:
        if attempt == 0:
            self._deadline = monotonic() + self._wait_s
        elif monotonic() >= self._deadline:
            return False
        sleep(POLL_S)
        return True


def _require_safe(version: str) -> None:
    if tuple(map(int, version.split("."))) < SAFE_SQLITE:
        raise StoreError(
            "STORE_UNSAFE",
            f"cannot use SQLite {version}: up to 3.51.2 it can corrupt a file in WAL mode (the WAL-reset fault)",
            hint="install the apsw wheel from PyPI, which brings a current SQLite",
        )


def _our_error(path: Path, error: apsw.Error) -> CicscError:
    text = str(error)
    code, _, rest = text.partition(": ")
    if isinstance(error, apsw.ConstraintError) and code in FENCE_CODES:
        return FenceError(code, rest)
    for kind, known, hint in _KINDS:
        if isinstance(error, kind):
            return StoreError(known, f"cannot use store {str(path)!r}: {text.lower()}", hint=hint)
    return unusable(path, text.lower())
