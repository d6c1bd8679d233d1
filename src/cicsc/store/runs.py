"""The journal of runs: what may happen to a tenant beside ordinary writes, each step one transaction with its record.

A run takes the tenant (`begin`), which stays open; `fence` refuses writes; `stage` writes what
readers do not see; `switch` makes that active and opens the tenant, all at once. Whoever has died
is followed by who `claim`s its run. Each step names the run's epoch and changes nothing when the
tenant is another's by then. What a step means for a migration is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Final, Generic, Protocol, TypeVar

from msgspec.structs import replace

from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import RowsHasher
from cicsc.store.journal import abort_run, finish_run, holder_of, names_of, now_ms, read_gate, read_run, record, taken
from cicsc.store.lease import lease_ms, pause_ms
from cicsc.store.records import BEFORE_SWITCH, Gate, Run, RunPlan, StagedEvents, Standing
from cicsc.store.refusals import (
    fence_changed,
    generations_unknown,
    head_moved,
    rights_missing,
    run_held,
    run_lost,
    staging_differs,
)
from cicsc.store.session import Session, Value

Database = TypeVar("Database", bound=Session)

REMOVE_ROWS_MAX: Final = 5_000
"""Rows removed in one transaction, which takes some 20 ms."""


_GATE_COLUMNS: Final = len(Gate.__struct_fields__)


class RunHost(Protocol[Database]):
    """What each kind of store does in its own way for a run."""

    def writing(self) -> AbstractContextManager[Database]:
        """Give a write transaction."""
        ...

    def holding_gate(self, what: str, tenant_id: str) -> AbstractContextManager[Database]:
        """Give a write transaction in which no write of the tenant is under way, nor can begin."""
        ...

    def asking(self) -> Database:
        """Return a connection for single statements: the one that writes, so that a run that ends needs no other."""
        ...

    def looking(self) -> AbstractContextManager[Database]:
        """Give a connection that sees one moment."""
        ...

    def owning(self, run: Run, generation: int) -> AbstractContextManager[Database]:
        """Give a write transaction that may write and remove events of a generation that is not active.

        Nobody changes the gate meanwhile.
        """
        ...

    def stage_events(self, database: Database, target: tuple[str, int], staged: StagedEvents, seen: RowsHasher) -> None:
        """Write rows of events into (tenant, generation), and add them to `seen`."""
        ...

    def stage_snapshots(self, database: Database, target: tuple[str, int], snapshots: Iterable[Snapshot]) -> None:
        """Write snapshots into (tenant, generation)."""
        ...

    def faults(self, database: Database) -> tuple[str, ...]:
        """Name what of the fence is not as installed, as `Store.fence_faults` does, in this transaction."""
        ...

    def missing_rights(self, database: Database) -> tuple[str, ...]:
        """Name the rights without which a run fails after it has paused a tenant."""
        ...


class Runs(Generic[Database]):
    """The runs of a store. Leases are in seconds, on the database's clock."""

    def __init__(self, host: RunHost[Database]) -> None:
        self._host = host

    # --------------------------------------------------------------------------------------- looking

    def run(self, tenant_id: str, run_id: str) -> Run:
        """Return a run as its journal says. Raises UNKNOWN_RUN."""
        return read_run(self._host.asking(), tenant_id, run_id)

    def of_tenant(self, tenant_id: str) -> list[Run]:
        """Return every run of a tenant, the oldest first."""
        with self._host.looking() as database:
            return [Run(*row) for row in database.rows("tenant_runs", {"tenant_id": tenant_id})]

    def holder(self, tenant_id: str) -> Run | None:
        """Return the run that has the tenant now, None where none has. Raises UNKNOWN_TENANT."""
        with self._host.looking() as database:
            return holder_of(database, read_gate(database, tenant_id))

    def standings(self, tenant_id: str | None = None) -> Iterator[Standing]:
        """Yield how every tenant stands, or one, in code-point order of their names. Raises UNKNOWN_TENANT."""
        with self._host.looking() as database:
            if tenant_id is not None:
                read_gate(database, tenant_id)
            names: dict[str, Value] = {"tenant_id": tenant_id, "now_ms": now_ms(database)}
            for row in database.rows("standings", names):
                gate, paused_ms, run = row[:_GATE_COLUMNS], row[_GATE_COLUMNS], row[_GATE_COLUMNS + 1 :]
                yield Standing(Gate(*gate), paused_ms, None if run[0] is None else Run(*run))

    def generations(self, tenant_id: str) -> list[int]:
        """Return the generations that hold events or snapshots of a tenant, the active one included."""
        with self._host.looking() as database:
            found: list[int] = []
            names: dict[str, Value] = {"tenant_id": tenant_id, "generation": 0}
            while (generation := database.value("next_held_generation", names)) is not None:
                found.append(generation)
                names["generation"] = generation
            return found

    def require_free(self, tenant_id: str) -> None:
        """Raise what `begin` would raise now, or return where it would take the tenant; waits for nobody."""
        with self._host.looking() as database:
            gate = read_gate(database, tenant_id)
            if gate.owner is None:
                return
            error = taken(database, gate, now_ms(database))
        if error.code != "GATE_HELD" or gate.is_paused:
            raise error

    # ----------------------------------------------------------------------------------- before the fence

    def begin(self, tenant_id: str, run_id: str, plan: RunPlan, *, lease_s: float) -> Run:
        """Take an open tenant for a run; writes go on. Waits for writes under way, so that the head is settled.

        Raises RUN_HELD when another run has the tenant, RUN_ABANDONED when one has that is dead,
        GATE_HELD when an operator has paused it, and STORE_FORBIDDEN where rights are missing.
        """
        lease = lease_ms(lease_s)
        with self._host.holding_gate("begin a run on", tenant_id) as database:
            if plan.kind != "import" and (missing := self._host.missing_rights(database)):
                raise rights_missing(tenant_id, plan.kind, missing)
            now = now_ms(database)
            names: dict[str, Value] = {"tenant_id": tenant_id, "run_id": run_id, "now_ms": now}
            if not database.run("take_gate", names):
                raise taken(database, read_gate(database, tenant_id), now)
            gate = read_gate(database, tenant_id)
            position = database.value("latest_position", {"tenant_id": tenant_id, "generation": gate.active_generation})
            database.run(
                "begin_run",
                names
                | {
                    "kind": plan.kind,
                    "actor_id": plan.actor_id,
                    "epoch": gate.epoch,
                    "lease_until_ms": now + lease,
                    "plan_digest": plan.plan_digest,
                    "migration_id": plan.migration_id,
                    "source_bundle": gate.active_bundle,
                    "source_version": gate.active_version,
                    "source_generation": gate.active_generation,
                    "target_bundle": plan.target_bundle,
                    "target_version": plan.target_version,
                    "head_position": position,
                },
            )
            detail = {"run": run_id, "migration": plan.migration_id, "plan": plan.plan_digest}
            record(database, tenant_id, plan.actor_id, f"{plan.kind}-begin", detail)
            return read_run(database, tenant_id, run_id)

    def aim(self, run: Run, *, method: str, target_bundle: str, target_version: int) -> Run:
        """Say where a planned run leads to, and how."""
        with self._host.writing() as database:
            aim: dict[str, Value] = {
                "method": method,
                "target_bundle": target_bundle,
                "target_version": target_version,
            }
            self._changed(database, "plan", run, database.run("set_method", names_of(run) | aim))
            return read_run(database, run.tenant_id, run.run_id)

    def keep(self, run: Run, *, lease_s: float) -> Run:
        """Renew the lease of a run, and that of the pause with it, up to its deadline.

        Raises LEASE_OVER when it has run out, RUN_LOST when the tenant is another's.
        """
        until = lease_ms(lease_s)
        if run.phase not in BEFORE_SWITCH or run.phase == "PLANNED":
            with self._host.writing() as database:
                now = now_ms(database)
                names = names_of(run) | {"now_ms": now, "lease_until_ms": now + until}
                self._changed(database, "go on with", run, database.run("keep_run", names))
                return replace(run, lease_until_ms=now + until)
        with self._host.holding_gate("renew the pause of", run.tenant_id) as database:
            now = now_ms(database)
            deadline = read_gate(database, run.tenant_id).pause_deadline_ms
            ends = now + until if deadline is None else min(now + until, deadline)
            names = names_of(run) | {"now_ms": now, "lease_until_ms": ends}
            self._changed(database, "go on with", run, database.run("keep_gate", names))
            self._changed(database, "go on with", run, database.run("keep_run", names))
            return replace(run, lease_until_ms=ends)

    # ------------------------------------------------------------------------------------ under the fence

    def fence(self, run: Run, *, lease_s: float, max_pause_s: float, generation: int | None = None) -> Run:
        """Refuse writes, once those under way have ended, and read the head; the pause is a lease from here on.

        A new generation is given to the run to write, unless `generation` names one that is kept.
        """
        lease, longest = pause_ms(lease_s, max_pause_s)
        with self._host.holding_gate("pause", run.tenant_id) as database:
            now = now_ms(database)
            staging = None
            if generation is None:
                staging = generation = database.value("next_generation", {"tenant_id": run.tenant_id})
                if generation is None:
                    raise generations_unknown(run.tenant_id)
            position, count = database.row("head", (run.tenant_id, run.source_generation)) or (0, 0)
            names = names_of(run) | {
                "now_ms": now,
                "lease_until_ms": now + lease,
                "pause_deadline_ms": now + longest,
                "staging_generation": staging,
                "target_generation": generation,
                "head_position": position,
                "head_count": count,
            }
            # The journal first: where the lease is over, the gate that the error tells of is still as it was.
            self._changed(database, "pause", run, database.run("fence_run", names))
            self._changed(database, "pause", run, database.run("fence_gate", names))
            detail = {"run": run.run_id, "until_ms": now + lease, "deadline_ms": now + longest}
            record(database, run.tenant_id, run.actor_id, f"{run.kind}-fence", detail)
            return read_run(database, run.tenant_id, run.run_id)

    def stage(
        self,
        run: Run,
        staged: StagedEvents,
        snapshots: Iterable[Snapshot] = (),
        seen: RowsHasher | None = None,
    ) -> None:
        """Write a batch into the run's new generation, and add its rows to `seen`, as `TenantReading.sum_rows` does."""
        assert run.target_generation is not None
        with self._host.owning(run, run.target_generation) as database:
            names = names_of(run) | {"now_ms": now_ms(database)}
            # Nobody takes the tenant over before this transaction ends; batches of one run may be written side by side.
            self._changed(database, "write for", run, 0 if database.value("run_holds", names) is None else 1)
            target = (run.tenant_id, run.target_generation)
            self._host.stage_events(database, target, staged, RowsHasher() if seen is None else seen)
            self._host.stage_snapshots(database, target, snapshots)

    def verified(self, run: Run, *, head_digest: str, target_count: int, target_digest: str) -> Run:
        """Record that what the run leads to was verified, for exactly this head."""
        results: dict[str, Value] = {
            "head_digest": head_digest,
            "target_count": target_count,
            "target_digest": target_digest,
        }
        return self._advance(run, "verify", "verify_run", results)

    def staged(self, run: Run) -> Run:
        """Record that what was verified is written, read back and equal."""
        return self._advance(run, "stage", "stage_run", {})

    def switch(self, run: Run) -> Run:
        """Make the run's generation active and open the tenant: the point from which nothing goes back by itself.

        Raises, with nothing changed: RUN_LOST when the run has the tenant no more, LEASE_OVER when it was too
        slow, HEAD_MOVED when the head is not the one that was verified, STAGING_DIFFERS when not all is there,
        FENCE_CHANGED when the fence is not as installed.
        """
        assert run.target_generation is not None
        with self._host.holding_gate("switch", run.tenant_id) as database:
            # First, since whoever came after a run that has lost the tenant may have changed all the rest.
            mine = names_of(run) | {"now_ms": now_ms(database), "lease_until_ms": run.lease_until_ms}
            self._changed(database, "switch", run, database.run("keep_run", mine))
            both: dict[str, Value] = {
                "tenant_id": run.tenant_id,
                "source_generation": run.source_generation,
                "target_generation": run.target_generation,
            }
            position, count, staged = database.row("count_both", both) or (0, 0, 0)
            if (position, count) != (run.head_position, run.head_count):
                raise head_moved(run, position, count)
            if staged != run.target_count:
                raise staging_differs(run, f"{staged} events")
            faults = self._host.faults(database)
            if faults:
                raise fence_changed(run.tenant_id, faults)
            names = names_of(run) | {
                "now_ms": now_ms(database),
                "source_bundle": run.source_bundle,
                "source_generation": run.source_generation,
                "target_bundle": run.target_bundle,
                "target_version": run.target_version,
                "target_generation": run.target_generation,
            }
            self._changed(database, "switch", run, database.run("switch_gate", names))
            self._changed(database, "switch", run, database.run("switch_run", names))
            detail = {
                "run": run.run_id,
                "from": {"version": run.source_version, "generation": run.source_generation},
                "to": {"version": run.target_version, "generation": run.target_generation},
            }
            record(database, run.tenant_id, run.actor_id, f"{run.kind}-switch", detail)
            return read_run(database, run.tenant_id, run.run_id)

    # ------------------------------------------------------------------------------------------ the end

    def finish(self, run: Run, *, report: str | None = None) -> Run:
        """Give the tenant back when the run's work is done; the report is kept in the journal."""
        with self._host.writing() as database:
            finish_run(database, run, report=report)
            return read_run(database, run.tenant_id, run.run_id)

    def abort(self, run: Run, *, reason: str, lease_s: float) -> Run:
        """Open the tenant as it was before and record why; what was staged is cleaned up by `sweep`.

        Nobody is held up for a tenant that was never paused: a run gives up more than once if it has to.
        """
        is_open = run.phase == "PLANNED"
        with self._host.writing() if is_open else self._host.holding_gate("resume", run.tenant_id) as database:
            abort_run(database, run, now_ms(database), reason=reason, lease=lease_ms(lease_s), by="run")
            return read_run(database, run.tenant_id, run.run_id)

    def claim(self, tenant_id: str, run_id: str, *, lease_s: float, actor_id: str, epoch: int | None = None) -> Run:
        """Follow a run that has died: undo it where it had not switched yet, else leave it to be finished.

        Allowed when its lease is over, or at once with its `epoch`. Raises RUN_HELD while it may
        live, RUN_LOST when the epoch is another by now, UNKNOWN_RUN.

        The tenant's lock is held even for a run that never paused it. Safety does not ask for that, since the epoch is
        in every condition, but the claim changes the gate's row, which writers under way keep locked: without the
        lock it would wait for them all the same, without an end while new ones come, and could not say who they are.
        """
        lease = lease_ms(lease_s)
        with self._host.holding_gate("take over", tenant_id) as database:
            run, gate, now = read_run(database, tenant_id, run_id), read_gate(database, tenant_id), now_ms(database)
            if gate.owner != run_id or (epoch is not None and epoch != run.epoch):
                raise run_lost("take over", run if epoch is None else replace(run, epoch=epoch), gate)
            if epoch is None and max(run.lease_until_ms, gate.lease_until_ms or 0) > now:
                raise run_held(gate, run)
            by = "recovery" if epoch is None else "take-over"
            if run.phase in BEFORE_SWITCH:
                reason = f"{by} by {actor_id!r}: the run was in phase {run.phase} and came to no end"
                abort_run(database, run, now, reason=reason, lease=lease, by=by)
            else:
                names = names_of(run) | {"lease_until_ms": now + lease}
                self._changed(database, "take over", run, database.run("open_gate", names))
                self._changed(database, "take over", run, database.run("claim_run", names))
            detail = {"run": run_id, "found": run.phase, "epoch": run.epoch, "by": by}
            record(database, tenant_id, actor_id, "run-claim", detail)
            return read_run(database, tenant_id, run_id)

    def sweep(self, run: Run, *, lease_s: float, report: str | None = None) -> Iterator[int]:
        """Remove what an aborted run staged, then give the tenant back; yields how many rows each step removed."""
        gate = read_gate(self._host.asking(), run.tenant_id)
        if run.phase != "ABORTED":
            raise run_lost("clean up after", run, gate)
        staging = gate.staging_generation
        while staging is not None and (removed := self.remove(run, staging, lease_s=lease_s)):
            yield removed
        with self._host.writing() as database:
            if report is not None:
                self._changed(database, "end", run, database.run("put_report", names_of(run) | {"report": report}))
            self._changed(database, "end", run, database.run("release_gate", names_of(run)))

    def remove(self, run: Run, generation: int, *, lease_s: float) -> int:
        """Remove some events and snapshots of a generation that is not active, and renew the lease; return how many."""
        lease = lease_ms(lease_s)
        with self._host.owning(run, generation) as database:
            now = now_ms(database)
            names = names_of(run) | {"now_ms": now, "lease_until_ms": now + lease}
            self._changed(database, "clean up after", run, database.run("keep_run", names))
            part: dict[str, Value] = {
                "tenant_id": run.tenant_id,
                "generation": generation,
                "limit": REMOVE_ROWS_MAX,
            }
            return database.run("remove_events", part) or database.run("remove_snapshots", part)

    def _advance(self, run: Run, what: str, statement: str, values: dict[str, Value]) -> Run:
        with self._host.writing() as database:
            names = names_of(run) | {"now_ms": now_ms(database)} | values
            self._changed(database, what, run, database.run(statement, names))
            return read_run(database, run.tenant_id, run.run_id)

    def _changed(self, database: Database, what: str, run: Run, rows: int) -> None:
        """Raise RUN_LOST or LEASE_OVER where a step has changed no row."""
        if rows != 1:
            raise run_lost(what, run, read_gate(database, run.tenant_id))
