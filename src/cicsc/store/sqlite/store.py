# ruff: noqa: D102 - the protocol documents what its methods do
"""The store in one SQLite file: its bundles, tenants, gates and audit, and the ways into its histories.

A file has one writer at a time; who waits longer than `wait_s` for it is told STORE_LOCKED. Readers
never wait. A bulk import holds the lock to its end, since it is all or nothing. A process must not
open the same file with another SQLite library beside this one: locks are of the whole process, so
the two would not see each other's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from cicsc.bundle.model import Bundle
from cicsc.history.model import Event
from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import decode_document, encode_text, event_types, stored_bundle
from cicsc.store.lease import lease_ms, pause_ms
from cicsc.store.protocol import Store
from cicsc.store.records import AuditEntry, Gate
from cicsc.store.refusals import gate_held, gate_lost, stale_generation, tenant_exists, unknown_bundle
from cicsc.store.sqlite import schema
from cicsc.store.sqlite.database import Database
from cicsc.store.sqlite.views import SqliteReading, SqliteTransaction, read_gate, record

WAIT_S: Final = 5.0
"""How long a write waits for other writers, in seconds."""


class SqliteStore(Store):
    """A store in the file `path`, which `initialise` creates; its folder has to be there."""

    def __init__(self, path: Path, *, wait_s: float = WAIT_S) -> None:
        self._path = path
        self._wait_s = wait_s
        self._opened: Database | None = None
        self._closed = False

    def close(self) -> None:
        self._closed = True
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    # ------------------------------------------------------------------------------------- the schema

    def schema_version(self) -> int | None:
        if not self._path.exists():
            return None
        return schema.installed_version(self._connected())

    def initialise(self) -> None:
        with closing(self._connect(create=True)) as database:
            schema.install(database)

    def upgrade(self) -> None:
        self._database()  # there is one version so far

    def fence_faults(self) -> tuple[str, ...]:
        database = self._database()
        with database.reading():
            return schema.fence_faults(database)

    # ------------------------------------------------------------------------------ bundles and tenants

    def put_bundle(self, bundle: Bundle) -> None:
        with self._writing() as database:
            if database.run("put_bundle", (bundle.digest, encode_text(bundle.document), bundle.version)):
                database.run_many("put_event_type", ((bundle.digest, *row) for row in event_types(bundle)))

    def bundle(self, digest: str) -> Bundle:
        body = self._database().value("bundle", (digest,))
        if body is None:
            raise unknown_bundle(digest)
        return stored_bundle(digest, body)

    def create_tenant(self, tenant_id: str, *, bundle_digest: str, version: int, actor_id: str) -> Gate:
        with self._writing() as database:
            if database.value("bundle", (bundle_digest,)) is None:
                raise unknown_bundle(bundle_digest)
            if not database.run("put_tenant", (tenant_id,)):
                raise tenant_exists(tenant_id)
            database.run("put_gate", (tenant_id, version, bundle_digest))
            record(database, tenant_id, actor_id, "tenant-create", {"bundle": bundle_digest, "version": version})
            return read_gate(database, tenant_id)

    def gate(self, tenant_id: str) -> Gate:
        return read_gate(self._database(), tenant_id)

    def gates(self) -> Iterator[Gate]:
        return (Gate(*row) for row in self._database().rows("gates"))

    # --------------------------------------------------------------------------------------- reading

    @contextmanager
    def reading(self, tenant_id: str) -> Iterator[SqliteReading]:
        with closing(self._connect()) as database, database.reading():
            schema.require_schema(database)
            yield SqliteReading(database, tenant_id)

    # --------------------------------------------------------------------------------------- writing

    def append(
        self, tenant_id: str, events: Iterable[Event], *, generation: int, snapshots: Iterable[Snapshot] = ()
    ) -> None:
        with self.transaction(tenant_id) as transaction:
            transaction.append_to(generation, events)
            transaction.put_snapshots(snapshots)

    def import_events(self, tenant_id: str, events: Iterable[Event], *, generation: int, actor_id: str) -> int:
        with self.transaction(tenant_id) as transaction:
            count = transaction.append_to(generation, events)
            transaction.record(actor_id=actor_id, action="import", detail={"generation": generation, "count": count})
            return count

    def put_snapshots(self, tenant_id: str, snapshots: Iterable[Snapshot], *, generation: int) -> None:
        with self.transaction(tenant_id) as transaction:
            if generation != transaction.gate.active_generation:
                raise stale_generation(transaction.gate, generation)
            transaction.put_snapshots(snapshots)

    @contextmanager
    def transaction(self, tenant_id: str) -> Iterator[SqliteTransaction]:
        with self._writing() as database:
            transaction = SqliteTransaction(database, tenant_id)
            yield transaction
            transaction.require_whole()

    # -------------------------------------------------------------------------------------- the gate

    def pause(self, tenant_id: str, *, owner: str, seconds: float, max_seconds: float | None = None) -> Gate:
        lease, longest = pause_ms(seconds, max_seconds)
        with self._writing() as database:
            changed = database.run(
                "pause", {"tenant_id": tenant_id, "owner": owner, "lease_ms": lease, "pause_ms": longest}
            )
            gate = read_gate(database, tenant_id)
            if not changed:
                raise gate_held(gate)
            detail = {
                "epoch": gate.epoch,
                "lease_until_ms": gate.lease_until_ms,
                "pause_deadline_ms": gate.pause_deadline_ms,
            }
            record(database, tenant_id, owner, "pause", detail)
            return gate

    def renew(self, tenant_id: str, *, owner: str, epoch: int, seconds: float) -> Gate:
        lease = lease_ms(seconds)
        with self._writing() as database:
            changed = database.run("renew", {"tenant_id": tenant_id, "owner": owner, "epoch": epoch, "lease_ms": lease})
            gate = read_gate(database, tenant_id)
            if not changed:
                raise gate_lost("renew the pause of", gate, owner, epoch)
            return gate

    def resume(self, tenant_id: str, *, owner: str, epoch: int) -> Gate:
        with self._writing() as database:
            changed = database.run("resume", {"tenant_id": tenant_id, "owner": owner, "epoch": epoch})
            gate = read_gate(database, tenant_id)
            if not changed:
                raise gate_lost("resume", gate, owner, epoch)
            record(database, tenant_id, owner, "resume", {"epoch": gate.epoch})
            return gate

    # ------------------------------------------------------------------------------------- the audit

    def record(self, *, tenant_id: str | None, actor_id: str, action: str, detail: Mapping[str, object]) -> None:
        with self._writing() as database:
            if tenant_id is not None:
                read_gate(database, tenant_id)
            record(database, tenant_id, actor_id, action, detail)

    def audit(self, tenant_id: str | None = None) -> Iterator[AuditEntry]:
        name, bindings = ("audit", ()) if tenant_id is None else ("tenant_audit", (tenant_id,))
        for audit_id, at_ms, tenant, actor_id, action, detail in self._database().rows(name, bindings):
            document = decode_document(detail, f"audit entry {audit_id}")
            yield AuditEntry(audit_id, at_ms, tenant, actor_id, action, document)

    def _database(self) -> Database:
        """Return the connection, once the schema is one that this program works with."""
        database = self._connected()
        schema.require_schema(database)
        return database

    @contextmanager
    def _writing(self) -> Iterator[Database]:
        """Hold the write lock; the schema is looked at under it, so that no upgrade comes between."""
        database = self._connected()
        if database.in_transaction:
            raise ValueError("a transaction of the store is open")
        with database.writing():
            schema.require_schema(database)
            yield database

    def _connected(self) -> Database:
        if self._opened is None:
            self._opened = self._connect()
        return self._opened

    def _connect(self, *, create: bool = False) -> Database:
        if self._closed:
            raise ValueError("the store is closed")
        if not create and not self._path.exists():
            raise schema.not_initialised(self._path)
        return Database(self._path, wait_s=self._wait_s, create=create)
