# ruff: noqa: D102 - the protocol documents what its methods do
"""The bodies of the protocol that all kinds of stores share: bundles, tenants, gates, audit, and the ways to write.

A kind of store adds how it connects, how a transaction begins, and how the gate is held.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final, Generic, TypeVar
from uuid import uuid4

from cicsc.bundle.model import Bundle
from cicsc.errors import CicscError, StoreError
from cicsc.history.model import Event
from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import (
    RowsHasher,
    decode_document,
    encode_text,
    event_types,
    stored_bundle,
    stored_event_types,
)
from cicsc.store.journal import exhaust, finish_run, now_ms, read_gate, record, taken
from cicsc.store.lease import lease_ms, pause_ms
from cicsc.store.protocol import Store
from cicsc.store.records import AuditEntry, EndedWriter, FenceRepair, Gate, Run, RunPlan, StagedEvents
from cicsc.store.refusals import gate_lost, paused, stale_generation, tenant_exists, unknown_bundle
from cicsc.store.runs import Runs
from cicsc.store.session import Session
from cicsc.store.views import Transaction

Database = TypeVar("Database", bound=Session)

IMPORT_LEASE_S: Final = 60.0
"""How long an import that died keeps others off, in seconds; one that lives holds a lock of the database besides."""


class SqlStore(Store, Generic[Database]):
    """A store in an SQL database."""

    # ------------------------------------------------------------------- what each kind does in its own way

    @abstractmethod
    def writing(self) -> AbstractContextManager[Database]:
        """Give a write transaction, on a schema that this program works with."""

    @abstractmethod
    def asking(self) -> Database:
        """Return the connection that writes, for single statements, on a schema that this program works with."""

    @abstractmethod
    def looking(self) -> AbstractContextManager[Database]:
        """Give a connection for many rows, on a schema that this program works with."""

    @abstractmethod
    def holding_gate(self, what: str, tenant_id: str) -> AbstractContextManager[Database]:
        """Give a write transaction in which no write of the tenant is under way, nor can begin.

        `what` names the purpose, for the message of STORE_LOCKED. Raises UNKNOWN_TENANT.
        """

    def ending_idle_writers(self, actor_id: str) -> AbstractContextManager[list[EndedWriter]]:  # noqa: ARG002 - nobody is known
        return nullcontext([])

    @property
    def runs(self) -> Runs[Database]:
        return Runs(self)

    @abstractmethod
    def owning(self, run: Run, generation: int) -> AbstractContextManager[Database]:
        """Give a write transaction that may write and remove events of a generation, as `RunHost.owning` says."""

    @abstractmethod
    def stage_events(self, database: Database, target: tuple[str, int], staged: StagedEvents, seen: RowsHasher) -> None:
        """Write rows of events into (tenant, generation), and add them to `seen`."""

    @abstractmethod
    def stage_snapshots(self, database: Database, target: tuple[str, int], snapshots: Iterable[Snapshot]) -> None:
        """Write snapshots into (tenant, generation)."""

    @abstractmethod
    def faults(self, database: Database) -> tuple[str, ...]:
        """Name what of the fence is not as installed, in the transaction at hand."""

    @abstractmethod
    def install_fence(self, database: Database) -> None:
        """Remove the fence and install it as it is to be, in the transaction at hand."""

    def reinstall_fence(self, *, actor_id: str) -> FenceRepair:
        with self.writing() as database:
            found = self.faults(database)
            if not found:
                return FenceRepair((), ())
            _restore_event_types(database)
            self.install_fence(database)
            left = self.faults(database)
            record(database, None, actor_id, "fence-install", {"found": found, "left": left})
            return FenceRepair(found, left)

    def damage(self) -> tuple[str, ...]:
        return ()  # a server looks after its own files

    def late_positions(self) -> tuple[str, ...]:
        return ()  # a file is copied whole

    def missing_rights(self, database: Database) -> tuple[str, ...]:  # noqa: ARG002 - who may write to a file, may do all
        return ()

    @abstractmethod
    def transaction(self, tenant_id: str) -> AbstractContextManager[Transaction[Database]]: ...

    # ------------------------------------------------------------------------------ bundles and tenants

    def put_bundle(self, bundle: Bundle) -> None:
        with self.writing() as database:
            if database.run("put_bundle", (bundle.digest, encode_text(bundle.document), bundle.version)):
                for row in event_types(bundle):
                    database.run("put_event_type", (bundle.digest, *row))

    def bundle(self, digest: str) -> Bundle:
        body = self.asking().value("bundle", (digest,))
        if body is None:
            raise unknown_bundle(digest)
        return stored_bundle(digest, body)

    def create_tenant(self, tenant_id: str, *, bundle_digest: str, version: int, actor_id: str) -> Gate:
        with self.writing() as database:
            if database.value("bundle", (bundle_digest,)) is None:
                raise unknown_bundle(bundle_digest)
            if not database.run("put_tenant", (tenant_id,)):
                raise tenant_exists(tenant_id)
            database.run("put_gate", (tenant_id, version, bundle_digest))
            record(database, tenant_id, actor_id, "tenant-create", {"bundle": bundle_digest, "version": version})
            return read_gate(database, tenant_id)

    def gate(self, tenant_id: str) -> Gate:
        return read_gate(self.asking(), tenant_id)

    def gates(self) -> Iterator[Gate]:
        with self.looking() as database:
            for row in database.rows("gates"):
                yield Gate(*row)

    # --------------------------------------------------------------------------------------- writing

    def append(
        self, tenant_id: str, events: Iterable[Event], *, generation: int, snapshots: Iterable[Snapshot] = ()
    ) -> None:
        with self.transaction(tenant_id) as transaction:
            transaction.append_to(generation, events)
            transaction.put_snapshots(snapshots)

    def import_events(self, tenant_id: str, events: Iterable[Event], *, generation: int, actor_id: str) -> int:
        gate = self.gate(tenant_id)
        if gate.is_paused:
            raise paused(gate)
        if gate.active_generation != generation:
            raise stale_generation(gate, generation)
        run_id = uuid4().hex
        try:
            run = self.runs.begin(tenant_id, run_id, RunPlan("import", actor_id), lease_s=IMPORT_LEASE_S)
            return self._import(run, events, gate)
        except BaseException as error:
            self._give_back(tenant_id, run_id, f"{type(error).__name__}: {error}")
            raise

    def _give_back(self, tenant_id: str, run_id: str, reason: str) -> None:
        """End an import that failed, also one that began although a signal kept its beginner from learning of it.

        What its transaction wrote is gone with it; all that is left to do is to give the tenant back.
        """
        with suppress(CicscError):  # its lease ends it otherwise
            self.abandon()
            run = self.runs.holder(tenant_id)
            if run is not None and run.run_id == run_id:
                aborted = self.runs.abort(run, reason=reason, lease_s=IMPORT_LEASE_S)
                exhaust(self.runs.sweep(aborted, lease_s=IMPORT_LEASE_S))

    def _import(self, run: Run, events: Iterable[Event], seen: Gate) -> int:
        with self.transaction(run.tenant_id) as transaction:
            if (run.source_generation, run.source_bundle) != (seen.active_generation, seen.active_bundle):
                raise stale_generation(transaction.gate, seen.active_generation)
            count = transaction.import_into(run.source_generation, events)
            detail = {"generation": run.source_generation, "count": count}
            finish_run(transaction.database, run, report=None, detail=detail)
        return count

    def put_snapshots(self, tenant_id: str, snapshots: Iterable[Snapshot], *, generation: int) -> None:
        with self.transaction(tenant_id) as transaction:
            if generation != transaction.gate.active_generation:
                raise stale_generation(transaction.gate, generation)
            transaction.put_snapshots(snapshots)

    # -------------------------------------------------------------------------------------- the gate

    def pause(self, tenant_id: str, *, owner: str, seconds: float, max_seconds: float | None = None) -> Gate:
        lease, longest = pause_ms(seconds, max_seconds)
        with self.holding_gate("pause", tenant_id) as database:
            changed = database.run(
                "pause", {"tenant_id": tenant_id, "owner": owner, "lease_ms": lease, "pause_ms": longest}
            )
            gate = read_gate(database, tenant_id)
            if not changed:
                raise taken(database, gate, now_ms(database))
            detail = {
                "epoch": gate.epoch,
                "lease_until_ms": gate.lease_until_ms,
                "pause_deadline_ms": gate.pause_deadline_ms,
            }
            record(database, tenant_id, owner, "pause", detail)
            return gate

    def renew(self, tenant_id: str, *, owner: str, epoch: int, seconds: float) -> Gate:
        lease = lease_ms(seconds)
        with self.holding_gate("renew the pause of", tenant_id) as database:
            changed = database.run("renew", {"tenant_id": tenant_id, "owner": owner, "epoch": epoch, "lease_ms": lease})
            gate = read_gate(database, tenant_id)
            if not changed:
                raise gate_lost("renew the pause of", gate, owner, epoch)
            return gate

    def resume(self, tenant_id: str, *, owner: str, epoch: int) -> Gate:
        with self.holding_gate("resume", tenant_id) as database:
            changed = database.run("resume", {"tenant_id": tenant_id, "owner": owner, "epoch": epoch})
            gate = read_gate(database, tenant_id)
            if not changed:
                raise gate_lost("resume", gate, owner, epoch)
            record(database, tenant_id, owner, "resume", {"epoch": gate.epoch})
            return gate

    # ------------------------------------------------------------------------------------- the audit

    def record(self, *, tenant_id: str | None, actor_id: str, action: str, detail: Mapping[str, object]) -> None:
        with self.writing() as database:
            if tenant_id is not None:
                read_gate(database, tenant_id)
            record(database, tenant_id, actor_id, action, detail)

    def audit(self, tenant_id: str | None = None) -> Iterator[AuditEntry]:
        name, bindings = ("audit", ()) if tenant_id is None else ("tenant_audit", (tenant_id,))
        with self.looking() as database:
            for audit_id, at_ms, tenant, actor_id, action, detail in database.rows(name, bindings):
                document = decode_document(detail, f"audit entry {audit_id}")
                yield AuditEntry(audit_id, at_ms, tenant, actor_id, action, document)


def _restore_event_types(database: Session) -> None:
    """Let every bundle that can be read have the event types that its reducers know, which the fence goes by."""
    for digest, body in list(database.rows("bundles")):
        with suppress(StoreError):  # it is named among the faults
            known = stored_event_types(digest, body)
            database.run("remove_event_types", (digest,))
            for row in known:
                database.run("put_event_type", (digest, *row))
