# ruff: noqa: D102 - the protocol documents what its methods do
"""The store in one SQLite file: its bundles, tenants, gates and audit, and the ways into its histories.

A file has one writer at a time; who waits longer than `wait_s` for it is told STORE_LOCKED. Readers
never wait. A bulk import holds the lock to its end, since it is all or nothing. A process must not
open the same file with another SQLite library beside this one: locks are of the whole process, so
the two would not see each other's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from cicsc.replay.snapshot import Snapshot
from cicsc.store.base import SqlStore
from cicsc.store.encoding import RowsHasher, placed_rows
from cicsc.store.journal import read_gate
from cicsc.store.records import Run, StagedEvents
from cicsc.store.refusals import run_lost
from cicsc.store.session import Value
from cicsc.store.sqlite import schema
from cicsc.store.sqlite.database import Database
from cicsc.store.sqlite.place import is_there, require_short
from cicsc.store.sqlite.views import SqliteMoment, SqliteTransaction, put_snapshots

WAIT_S: Final = 5.0
"""How long a write waits for other writers, in seconds."""


class SqliteStore(SqlStore[Database]):
    """A store in the file `path`, which `initialise` creates; its folder has to be there.

    Where a path leads, relative or through links, is found out once, so that every connection is to the same file.
    One that was moved, replaced or removed is written to no more: the next use opens what is there then.
    """

    has_sessions = False
    shared_url = None
    batch_s = 0.04  # one writer at a time, so other tenants wait as long
    takes_records = False

    def __init__(self, path: Path, *, wait_s: float = WAIT_S) -> None:
        self._path = path
        self._file = Path(os.path.realpath(path))
        self.files = {"--store": path} | {f"the {end} of --store": Path(f"{path}{end}") for end in ("-wal", "-shm")}
        self._wait_s = wait_s
        self._opened: Database | None = None
        self._closed = False

    def close(self) -> None:
        self._closed = True
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def abandon(self) -> None:
        if self._opened is not None and self._opened.in_transaction:
            self._opened.close()
            self._opened = None

    # ------------------------------------------------------------------------------------- the schema

    def schema_version(self) -> int | None:
        if not is_there(self._file):
            return None
        return schema.installed_version(self._connected())

    def initialise(self) -> None:
        require_short(self._file)
        with closing(self._connect(create=True)) as database:
            schema.install(database)

    def upgrade(self) -> None:
        schema.upgrade(self._connected())

    def fence_faults(self) -> tuple[str, ...]:
        database = self.asking()
        with database.reading():
            return schema.fence_faults(database)

    def damage(self) -> tuple[str, ...]:
        database = self.asking()
        with database.user.inside():
            return tuple(database.damage())

    def faults(self, database: Database) -> tuple[str, ...]:
        return schema.fence_faults(database)

    def install_fence(self, database: Database) -> None:
        schema.install_fence(database)

    # --------------------------------------------------------------------------------------- reading

    @contextmanager
    def moment(self, shared: str | None = None, *, settled: str | None = None) -> Iterator[SqliteMoment]:  # noqa: ARG002 - one writer at a time
        assert shared is None, "one process reads a file"
        with closing(self._connect()) as database, database.reading():
            schema.require_schema(database)
            yield SqliteMoment(database)

    # --------------------------------------------------------------------------------------- writing

    @contextmanager
    def transaction(self, tenant_id: str) -> Iterator[SqliteTransaction]:
        with self.writing() as database:
            transaction = SqliteTransaction(database, tenant_id)
            yield transaction
            transaction.require_whole()

    # ------------------------------------------------------------------------------------------ runs

    @contextmanager
    def owning(self, run: Run, generation: int) -> Iterator[Database]:
        with self.writing() as database:
            names: dict[str, Value] = {
                "tenant_id": run.tenant_id,
                "run_id": run.run_id,
                "epoch": run.epoch,
                "generation": generation,
            }
            if database.run("unlock_generation", names) != 1:
                raise run_lost("write for", run, read_gate(database, run.tenant_id))
            yield database
            database.run("lock_generation", {"tenant_id": run.tenant_id})

    def stage_events(self, database: Database, target: tuple[str, int], staged: StagedEvents, seen: RowsHasher) -> None:
        rows = placed_rows(staged)
        database.run_many("stage_event", (target + row for row in rows))
        seen.update(rows)

    def stage_snapshots(self, database: Database, target: tuple[str, int], snapshots: Iterable[Snapshot]) -> None:
        put_snapshots(database, target, snapshots)

    # ------------------------------------------------------------------------------------ connections

    def asking(self) -> Database:
        """Return the connection, once the schema is one that this program works with."""
        database = self._connected()
        schema.require_schema(database)
        return database

    @contextmanager
    def looking(self) -> Iterator[Database]:
        yield self.asking()  # a statement sees one moment, however slowly its rows are taken

    @contextmanager
    def holding_gate(self, what: str, tenant_id: str) -> Iterator[Database]:  # noqa: ARG002 - nobody to wait for
        with self.writing() as database:
            read_gate(database, tenant_id)
            yield database

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """Hold the write lock; the schema is looked at under it, so that no upgrade comes between."""
        database = self._connected()
        with database.writing():
            schema.require_schema(database)
            yield database

    def _connected(self) -> Database:
        if self._opened is not None:
            self._opened.user.require_here()
        if self._opened is not None and self._opened.has_moved and not self._opened.in_transaction:
            self._opened.close()
            self._opened = None
        if self._opened is None:
            self._opened = self._connect()
        return self._opened

    def _connect(self, *, create: bool = False) -> Database:
        if self._closed:
            raise ValueError("the store is closed")
        if not create and not is_there(self._file):
            raise schema.not_initialised(self._path)
        database = Database(self._path, wait_s=self._wait_s, create=create, file=self._file)
        try:
            if not create:
                schema.resume_wal(database)
        except BaseException:
            database.close()
            raise
        return database
