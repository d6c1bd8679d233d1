# ruff: noqa: D102 - the protocol documents what its methods do
"""The store in a PostgreSQL database: its bundles, tenants, gates and audit, and the ways into its histories.

Writers of a tenant hold its advisory lock shared until they commit; who changes its gate holds it
exclusively, for an instant, and so waits for them, at most `wait_s`. Readers wait for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from cicsc.bundle.model import Bundle
from cicsc.errors import StoreError
from cicsc.history.model import Event
from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import decode_document, encode_text, event_types, stored_bundle
from cicsc.store.lease import lease_ms, pause_ms
from cicsc.store.postgres import schema
from cicsc.store.postgres.address import parse_address
from cicsc.store.postgres.database import Database
from cicsc.store.postgres.views import PostgresReading, PostgresTransaction, read_gate, record
from cicsc.store.protocol import Store
from cicsc.store.records import AuditEntry, Gate
from cicsc.store.refusals import gate_held, gate_lost, stale_generation, tenant_exists, unknown_bundle

WAIT_S: Final = 5.0
"""How long a statement waits for the locks of others, in seconds."""


class PostgresStore(Store):
    """A store in the database that `url` names (``postgresql://...``), which has to be there."""

    def __init__(self, url: str, *, wait_s: float = WAIT_S) -> None:
        self._address = parse_address(url)
        self._wait_s = wait_s
        self._opened: Database | None = None
        self._idle_reader: Database | None = None
        self._readers: set[Database] = set()
        self._closed = False

    def close(self) -> None:
        self._closed = True
        for database in (self._opened, self._idle_reader, *self._readers):
            if database is not None:
                database.close()
        self._opened = self._idle_reader = None

    # ------------------------------------------------------------------------------------- the schema

    def schema_version(self) -> int | None:
        return schema.installed_version(self._connected())

    def initialise(self) -> None:
        schema.install(self._connected())

    def upgrade(self) -> None:
        self._database()  # there is one version so far

    def fence_faults(self) -> tuple[str, ...]:
        with self._reader() as database:
            return schema.fence_faults(database)

    # ------------------------------------------------------------------------------ bundles and tenants

    def put_bundle(self, bundle: Bundle) -> None:
        with self._writing() as database:
            if database.run("put_bundle", (bundle.digest, encode_text(bundle.document), bundle.version)):
                known = event_types(bundle)
                columns = ([entity_type for entity_type, _ in known], [event_type for _, event_type in known])
                database.run("put_event_types", (bundle.digest, *columns))

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
        with self._reader() as database:
            for row in database.rows("gates"):
                yield Gate(*row)

    # --------------------------------------------------------------------------------------- reading

    @contextmanager
    def reading(self, tenant_id: str) -> Iterator[PostgresReading]:
        with self._reader() as database:
            yield PostgresReading(database, tenant_id)

    # --------------------------------------------------------------------------------------- writing

    def append(
        self, tenant_id: str, events: Iterable[Event], *, generation: int, snapshots: Iterable[Snapshot] = ()
    ) -> None:
        with self.transaction(tenant_id) as transaction:
            transaction.append_to(generation, events)
            transaction.put_snapshots(snapshots)

    def import_events(self, tenant_id: str, events: Iterable[Event], *, generation: int, actor_id: str) -> int:
        with self.transaction(tenant_id) as transaction:
            count = transaction.import_into(generation, events)
            transaction.record(actor_id=actor_id, action="import", detail={"generation": generation, "count": count})
            return count

    def put_snapshots(self, tenant_id: str, snapshots: Iterable[Snapshot], *, generation: int) -> None:
        with self.transaction(tenant_id) as transaction:
            if generation != transaction.gate.active_generation:
                raise stale_generation(transaction.gate, generation)
            transaction.put_snapshots(snapshots)

    @contextmanager
    def transaction(self, tenant_id: str) -> Iterator[PostgresTransaction]:
        with self._writing() as database:
            transaction = PostgresTransaction(database, tenant_id)
            yield transaction
            transaction.require_whole()

    # -------------------------------------------------------------------------------------- the gate

    def pause(self, tenant_id: str, *, owner: str, seconds: float, max_seconds: float | None = None) -> Gate:
        lease, longest = pause_ms(seconds, max_seconds)
        with self._holding_gate("pause", tenant_id) as database:
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
        with self._holding_gate("renew the pause of", tenant_id) as database:
            changed = database.run("renew", {"tenant_id": tenant_id, "owner": owner, "epoch": epoch, "lease_ms": lease})
            gate = read_gate(database, tenant_id)
            if not changed:
                raise gate_lost("renew the pause of", gate, owner, epoch)
            return gate

    def resume(self, tenant_id: str, *, owner: str, epoch: int) -> Gate:
        with self._holding_gate("resume", tenant_id) as database:
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
        with self._reader() as database:
            for audit_id, at_ms, tenant, actor_id, action, detail in database.rows(name, bindings):
                document = decode_document(detail, f"audit entry {audit_id}")
                yield AuditEntry(audit_id, at_ms, tenant, actor_id, action, document)

    # ------------------------------------------------------------------------------------ connections

    def _database(self) -> Database:
        """Return the connection, once the schema is one that this program works with."""
        database = self._connected()
        schema.require_schema(database)
        return database

    @contextmanager
    def _writing(self) -> Iterator[Database]:
        database = self._connected()
        with database.writing():
            schema.require_schema(database)
            yield database

    @contextmanager
    def _holding_gate(self, what: str, tenant_id: str) -> Iterator[Database]:
        """Hold the tenant's lock exclusively, once writes under way have ended; STORE_LOCKED names those that go on."""
        with self._writing() as database:
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
        holders = [
            f"process {pid} ({state or 'of another user'}, in its transaction for {seconds} s, application {name!r})"
            for pid, state, name, seconds in database.all_rows("lock_holders", (tenant_id,))
        ]
        found = ", ".join(holders) or "none is left now"
        return StoreError(
            "STORE_LOCKED",
            f"cannot {what} tenant {tenant_id!r}: waited {self._wait_s} s for writes under way: {found}",
            hint="nothing was changed; end these transactions, then try again",
        )

    @contextmanager
    def _reader(self) -> Iterator[Database]:
        """Give a connection of its own that sees one moment; one is kept for the next time."""
        database, self._idle_reader = self._idle_reader, None
        if database is None:
            database = self._connect()
        self._readers.add(database)
        try:
            with database.reading():
                schema.require_schema(database)
                yield database
        finally:
            self._readers.discard(database)
            if self._closed or self._idle_reader is not None or not database.is_idle:
                database.close()
            else:
                self._idle_reader = database

    def _connected(self) -> Database:
        if self._opened is not None and self._opened.is_lost:
            self._opened = None
        if self._opened is None:
            self._opened = self._connect()
        return self._opened

    def _connect(self) -> Database:
        if self._closed:
            raise ValueError("the store is closed")
        return Database(self._address, wait_s=self._wait_s)
