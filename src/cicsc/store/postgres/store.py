# ruff: noqa: D102 - the protocol documents what its methods do
"""The store in a PostgreSQL database: its bundles, tenants, gates and audit, and the ways into its histories.

Writers of a tenant hold its advisory lock shared until they commit; who changes its gate holds it
exclusively, for an instant, and so waits for them, at most `wait_s`. Readers wait for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec.structs import asdict

from cicsc.errors import StoreError
from cicsc.history.model import Event
from cicsc.history.native import native_part
from cicsc.replay.snapshot import Snapshot
from cicsc.store.base import SqlStore
from cicsc.store.encoding import RowsHasher, snapshot_rows
from cicsc.store.journal import read_gate
from cicsc.store.postgres import schema
from cicsc.store.postgres.address import parse_address
from cicsc.store.postgres.copying import copied_lines
from cicsc.store.postgres.database import Database
from cicsc.store.postgres.views import PostgresMoment, PostgresTransaction
from cicsc.store.records import EndedWriter, Run, StagedEvents

WAIT_S: Final = 5.0
"""How long a statement waits for the locks of others, in seconds."""

IDLE_S_MAX: Final = 5.0
"""How long who holds locks of a tenant for a step may do nothing, in seconds, before the server ends its session."""

ANALYZED_EVENTS_MIN: Final = 50_000
"""Events of an import after which the server is asked to look at the table anew."""

END_WAIT_MS: Final = 1_000
"""How long a session that is told to end may take for it, in milliseconds."""

_READ: Final = "read"
"""What a tenant's lock is held for when nothing is to be written."""

_END_THEM: Final = "nothing was changed; end these transactions, then try again"
_NOT_ENDED: Final = (
    "none was ended, since they are at work, or this role lacks the rights of the writer's, or of "
    "pg_read_all_stats and pg_signal_backend"
)


class PostgresStore(SqlStore[Database]):
    """A store in the database that `url` names (``postgresql://...``), which has to be there."""

    batch_s = 1.0
    takes_records = native_part() is not None
    has_sessions = True
    files: Mapping[str, Path] = MappingProxyType({})

    def __init__(self, url: str, *, wait_s: float = WAIT_S) -> None:
        self._address = parse_address(url)
        self.shared_url = url
        self._wait_s = wait_s
        self._opened: Database | None = None
        self._idle_reader: Database | None = None
        self._readers: set[Database] = set()
        self._ending: tuple[str, list[EndedWriter]] | None = None
        self._closed = False

    def close(self) -> None:
        self._closed = True
        for database in (self._opened, self._idle_reader, *self._readers):
            if database is not None:
                database.close()
        self._opened = self._idle_reader = None

    def abandon(self) -> None:
        if self._opened is not None and not self._opened.is_idle:
            self._opened.close()
            self._opened = None

    # ------------------------------------------------------------------------------------- the schema

    def schema_version(self) -> int | None:
        return schema.installed_version(self._connected())

    def initialise(self) -> None:
        schema.install(self._connected())

    def upgrade(self) -> None:
        schema.upgrade(self._connected())

    def fence_faults(self) -> tuple[str, ...]:
        with self.looking() as database:
            return schema.fence_faults(database)

    def late_positions(self) -> tuple[str, ...]:
        with self.looking() as database:
            return tuple(schema.late_positions(database))

    def faults(self, database: Database) -> tuple[str, ...]:
        return schema.fence_faults(database)

    def install_fence(self, database: Database) -> None:
        schema.install_fence(database)

    def missing_rights(self, database: Database) -> tuple[str, ...]:
        return tuple(right for (right,) in database.all_rows("missing_rights"))

    # --------------------------------------------------------------------------------------- reading

    @contextmanager
    def moment(self, shared: str | None = None, *, settled: str | None = None) -> Iterator[PostgresMoment]:
        with ExitStack() as stack:
            if settled is None:
                database = stack.enter_context(self.looking(shared))
            else:
                # A snapshot begins with its first statement: here, while nothing of the tenant is being written.
                with self.holding_gate(_READ, settled):
                    database = stack.enter_context(self.looking(shared))
            yield PostgresMoment(database)

    # --------------------------------------------------------------------------------------- writing

    def import_events(self, tenant_id: str, events: Iterable[Event], *, generation: int, actor_id: str) -> int:
        count = super().import_events(tenant_id, events, generation=generation, actor_id=actor_id)
        if count >= ANALYZED_EVENTS_MIN:
            # Until the server knows how large the table is, it counts in one process; it would learn that, but later.
            with suppress(StoreError):
                self.asking().run("analyze_events")
        return count

    @contextmanager
    def transaction(self, tenant_id: str) -> Iterator[PostgresTransaction]:
        self._connected().require_writable()
        with self._locking(idle_s_max=None) as database:  # an application's, which does in it what it likes
            transaction = PostgresTransaction(database, tenant_id)
            yield transaction
            transaction.require_whole()

    # ------------------------------------------------------------------------------------------ runs

    @contextmanager
    def owning(self, run: Run, generation: int) -> Iterator[Database]:  # noqa: ARG002 - the fence lets through any but the active one
        with self.writing() as database:
            database.run("lock_shared", (run.tenant_id,))
            database.run("own", (run.run_id, str(run.epoch)))
            yield database

    def stage_events(self, database: Database, target: tuple[str, int], staged: StagedEvents, seen: RowsHasher) -> None:
        database.copy_lines("stage_events", copied_lines(target, staged, seen))

    def stage_snapshots(self, database: Database, target: tuple[str, int], snapshots: Iterable[Snapshot]) -> None:
        database.copy("stage_snapshots", (target + row for row in snapshot_rows(target[0], snapshots)))

    # ------------------------------------------------------------------------------------ connections

    def asking(self) -> Database:
        """Return the connection, once the schema is one that this program works with."""
        database = self._connected()
        schema.require_schema(database)
        return database

    @contextmanager
    def writing(self) -> Iterator[Database]:
        self._connected().require_writable()
        with self._locking() as database:
            yield database

    @contextmanager
    def _locking(self, *, idle_s_max: float | None = IDLE_S_MAX) -> Iterator[Database]:
        """Give a transaction that may take the locks of writers; the server ends one that idles for too long in it."""
        database = self._connected()
        with database.writing():
            if idle_s_max is not None:
                database.run("limit_idling", (f"{round(idle_s_max * 1000)}ms",))
            schema.require_schema(database)
            yield database

    @contextmanager
    def holding_gate(self, what: str, tenant_id: str) -> Iterator[Database]:
        with ExitStack() as stack:
            try:
                database = stack.enter_context(self._holding_gate(what, tenant_id))
            except StoreError as error:
                if error.code != "STORE_LOCKED" or not self._end_idle_writers(tenant_id):
                    raise
                database = stack.enter_context(self._holding_gate(what, tenant_id))
            yield database

    @contextmanager
    def ending_idle_writers(self, actor_id: str) -> Iterator[list[EndedWriter]]:
        before, self._ending = self._ending, (actor_id, [])
        try:
            yield self._ending[1]
        finally:
            self._ending = before

    def _end_idle_writers(self, tenant_id: str) -> bool:
        """End the sessions that idle on the tenant, if that was asked for, and record it; tell whether any was."""
        if self._ending is None:
            return False
        actor_id, ended = self._ending
        names = {"tenant_id": tenant_id, "idle_s": self._wait_s / 2, "wait_ms": END_WAIT_MS}
        found = [EndedWriter(*row[:-1]) for row in self._connected().all_rows("end_idle_holders", names) if row[-1]]
        for writer in found:
            self.record(tenant_id=tenant_id, actor_id=actor_id, action="writer-end", detail=asdict(writer))
        ended.extend(found)
        return bool(found)

    @contextmanager
    def _holding_gate(self, what: str, tenant_id: str) -> Iterator[Database]:
        """Hold the tenant's lock exclusively, once writes under way have ended; STORE_LOCKED names those that go on."""
        with self._locking() if what == _READ else self.writing() as database:
            read_gate(database, tenant_id)
            try:
                database.run("lock_exclusively", (tenant_id,))
            except StoreError as error:
                if error.code != "STORE_LOCKED":
                    raise
                database.rollback()
                raise self._held_up(database, what, tenant_id) from error
            yield database

    def _held_up(self, database: Database, what: str, tenant_id: str) -> StoreError:
        holders = [_holder(*row) for row in database.all_rows("lock_holders", (tenant_id,))]
        found = ", ".join(holders) or "none is left now"
        return StoreError(
            "STORE_LOCKED",
            f"cannot {what} tenant {tenant_id!r}: waited {self._wait_s} s for writes under way: {found}",
            hint=_END_THEM if self._ending is None else f"{_END_THEM}; {_NOT_ENDED}",
        )

    @contextmanager
    def looking(self, shared: str | None = None) -> Iterator[Database]:
        """Give a connection of its own that sees one moment, or one that is shared; it is kept for the next time."""
        with ExitStack() as reading:
            database = self._reader(reading, shared)
            schema.require_schema(database)
            yield database

    def _reader(self, reading: ExitStack, shared: str | None) -> Database:
        """Begin to read with the connection that was kept, or with a new one, also where that was lost meanwhile."""
        kept, self._idle_reader = self._idle_reader, None
        if kept is not None:
            kept.user.require_here()
            try:
                return self._begun(kept, reading, shared)
            except StoreError:
                if not kept.is_lost:
                    raise
        return self._begun(self._connect(), reading, shared)

    def _begun(self, database: Database, reading: ExitStack, shared: str | None) -> Database:
        self._readers.add(database)
        with ExitStack() as beginning:
            beginning.callback(self._keep, database)
            beginning.enter_context(database.reading(shared))
            reading.push(beginning.pop_all())
        return database

    def _keep(self, database: Database) -> None:
        """Keep a connection that was read with, unless one is kept already."""
        self._readers.discard(database)
        if self._closed or self._idle_reader is not None or not database.is_idle:
            database.close()
        else:
            self._idle_reader = database

    def _connected(self) -> Database:
        if self._opened is not None:
            self._opened.user.require_here()
        if self._opened is not None and self._opened.is_lost:
            self._opened = None
        if self._opened is None:
            self._opened = self._connect()
        return self._opened

    def _connect(self) -> Database:
        if self._closed:
            raise ValueError("the store is closed")
        return Database(self._address, wait_s=self._wait_s)


def _holder(
    pid: int | None, user: str, state: str | None, application: str | None, prepared: str | None, seconds: int | None
) -> str:
    """Name in a message who holds the lock of a tenant."""
    if prepared is not None:
        return f"prepared transaction {prepared!r} of {user!r} (for {seconds} s)"
    does = "what it does is not shown to this role" if state is None else f"{state}, in its transaction for {seconds} s"
    return f"process {pid} of {user!r} ({does}, application {application!r})"
