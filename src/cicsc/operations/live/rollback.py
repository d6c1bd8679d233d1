"""Rollback of a live tenant, chapter 4 of the runbook in a store: under the same protocol as the cutover.

Where nothing was written since the switch, the generation before it is made active again, whatever
the migration. Where something was, the inverse of the whole current history is built, verified and
switched to; then the limits of the reversible subset hold. Every obstacle is named, and nothing changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal

from msgspec import UNSET

from cicsc.bundle.load import load_bundle
from cicsc.engine.inprocess import undo_history
from cicsc.errors import RefusedError, and_more
from cicsc.migration.inverse import reversibility
from cicsc.migration.totality import version_faults
from cicsc.migration.undo import compile_undo
from cicsc.operations.arguments import require_migration, require_tenant
from cicsc.operations.integrity import check_integrity
from cicsc.operations.live.binding import digest_of
from cicsc.operations.live.change import PAUSE_TO_LOOK, TenantChange, Terms
from cicsc.operations.live.places import PlacedHistory
from cicsc.operations.live.recovery import boundaries_of
from cicsc.operations.live.regained import Regained, Undone
from cicsc.operations.live.reporting import attempted, described, gate_now, mutated_by, pause_ms, with_note
from cicsc.operations.live.run import LEASE_S, Timing
from cicsc.operations.live.staging import Staging, staging_into
from cicsc.operations.rollback import NO_INVERSE, history_obstacles, misnamed_inverse
from cicsc.operations.stored import opened_store
from cicsc.operations.stored_streams import TenantHistory, require_whole
from cicsc.progress import SILENT, Amount, Progress
from cicsc.report.live.models import StoreRollback
from cicsc.store.records import RunPlan
from cicsc.store.refusals import staging_differs

if TYPE_CHECKING:
    from cicsc.bundle.model import Bundle, Migration
    from cicsc.engine.inprocess import Digests
    from cicsc.migration.inverse import Reversibility
    from cicsc.operations.sources import BundleSource
    from cicsc.store.protocol import Store, TenantReading
    from cicsc.store.records import Run, StoreHead

Method = Literal["reactivate", "inverse"]

_PAUSE_TO_LOOK: Final[dict[Method, float]] = {"reactivate": 1.5, "inverse": PAUSE_TO_LOOK}
"""What is made active again is only read once more while the tenant waits, as in the look; the rest is a margin."""

_GIVE_SOURCE: Final = "nothing was written; give the bundle before the migration with --from"


class RollbackOrder(Terms, frozen=True, kw_only=True):
    """What an operator orders: which migration is taken back.

    `source` is the bundle before it, needed only where the tenant's journal does not know it.
    """

    migration: str
    source: Bundle | None = None


def roll_back_live(
    store: str | Store,
    tenant_id: str,
    migration: str,
    *,
    source: BundleSource | None = None,
    execute: bool = False,
    max_pause_s: float = 60.0,
    lease_s: float = LEASE_S,
    operator: str = "library",
    progress: Progress = SILENT,
) -> StoreRollback:
    """Take a live tenant back to the version before `migration`, or rehearse it.

    `store` is a URL or an open store. `source` is the bundle before the migration, where the tenant's
    journal does not know it. `max_pause_s` bounds the pause, `lease_s` is how long a process that died
    keeps the tenant paused, both in seconds. `progress` is told of the events that pass. Whatever happens
    is told in the report. Raises StoreError where the store cannot be opened, BundleError for a `source`
    that is not valid, UsageError for the call.
    """
    require_tenant(tenant_id)
    require_migration(migration)
    before = None if source is None else load_bundle(source)
    order = RollbackOrder(
        operator=operator, execute=execute, timing=Timing(lease_s, max_pause_s), migration=migration, source=before
    )
    with opened_store(store) as opened:
        return roll_back_tenant(opened, tenant_id, order, progress)


def roll_back_tenant(store: Store, tenant_id: str, order: RollbackOrder, progress: Progress = SILENT) -> StoreRollback:
    """Take one tenant back, or rehearse it; whatever happens is told in the report, also a signal."""
    change = TenantRollback(store, tenant_id, order, progress)
    outcome, error = attempted(change, change.carry_out)
    report = _describe(change, outcome, error)
    return with_note(report, change.record_end(report.to_json().decode()))


class TenantRollback(TenantChange):
    """The rollback of one tenant, and what is known of it so far."""

    def __init__(self, store: Store, tenant_id: str, order: RollbackOrder, progress: Progress = SILENT) -> None:
        super().__init__(store, tenant_id, order, progress)
        self.order = order
        self.origin: Run | None = None
        self.done_before: Run | None = None
        self.target: Bundle | None = None
        self.migration: Migration | None = None
        self.source: Bundle | None = None
        self.method: Method | None = None
        self.reasons: list[str] = []
        self.events = 0
        self.digests: Digests | None = None

    def carry_out(self) -> Literal["switched", "rehearsed"]:
        """Do what is ordered."""
        self.look()
        if not self.order.execute:
            self.rehearse()
            return "rehearsed"
        self.execute()
        return "switched"

    def run_plan(self) -> RunPlan:
        """Return what the journal says of the run when it begins."""
        return RunPlan("rollback", self.order.operator, migration_id=self.order.migration)

    def look(self) -> None:
        """Find the migration in the active bundle, and the cutover that applied it."""
        super().look()
        self.target = self.store.bundle(self.gate.active_bundle)
        self.migration = self.target.migrations.get(self.order.migration)
        runs = self.store.runs.of_tenant(self.tenant_id)
        self.origin = _origin(runs, self.gate.active_bundle, self.order.migration)
        self.done_before = next((run for run in runs if self._is_done_by(run)), None)
        self.source = self.order.source
        if self.source is None and self.origin is not None:
            self.source = self.store.bundle(self.origin.source_bundle)

    def check(self, progress: Progress) -> None:
        """Find out which way back there is; raises ROLLBACK_UNSAFE with every obstacle where there is none."""
        if self.migration is None:
            raise self._unsafe(
                [f"migration {self.order.migration!r} is not in the tenant's active bundle"],
                self._led_elsewhere(),
            )
        self._require_source()
        self.require_fence()
        with self.store.reading(self.tenant_id, settled=True) as reading:
            began, head = monotonic(), reading.head()
            progress.begin("checking", Amount(head.count))
            if self.origin is not None and self._is_kept(reading, head, self.origin, progress):
                self.method, self.events = "reactivate", self.origin.head_count or 0
            else:
                kind = PlacedHistory if self.migration.inverse is not None else TenantHistory
                self._undo(kind(reading, progress), None)
                require_whole(reading, head, self.events)
                self.method = "inverse"
            self.predict(monotonic() - began, to_look=_PAUSE_TO_LOOK[self.method])
        self.require_short()

    # --------------------------------------------------------------------------------------- the steps

    def open_check(self) -> None:
        """Check with the tenant open, then say where the run leads to."""
        self.check(self.under_way)
        assert self.method is not None
        assert self.source is not None
        assert self.migration is not None
        version = self.migration.from_version if self.origin is None else self.origin.source_version
        self.store.put_bundle(self.source)
        self.live.aim(self.method, self.source.digest, version)

    def pause(self) -> None:
        """Refuse writes; if some came since the check, the old generation is not what is wanted any more."""
        kept = self.origin.source_generation if self.method == "reactivate" and self.origin is not None else None
        self.live.fence(kept)

    def verify_and_write(self) -> None:
        """Write the inverse of the history as it is now, or see that nothing was written since the switch."""
        if self.method == "reactivate":
            self._verify_unchanged()
            return
        live = self.live
        self.progress.begin("writing", Amount(live.run.head.count))
        with ExitStack() as stack:
            reading = stack.enter_context(self.store.reading(self.tenant_id))
            history = PlacedHistory(reading, self.under_way)
            staging = stack.enter_context(staging_into(self.store, self.tenant_id, history.places, live.stage))
            self._undo(history, staging)
            require_whole(reading, live.run.head, self.events)
            staging.finish()
        self.written = [staging.written()]
        assert self.digests is not None
        assert self.digests.given is not None
        assert self.digests.made is not None
        live.verified(self.digests.given, self.events, self.digests.made)

    def read_back(self) -> None:
        """Read what is to become active; the kept generation is compared with what it was when it was left."""
        if self.method == "inverse":
            super().read_back()
            return
        run = self.live.run
        self.progress.begin("reading back", Amount(run.target_count or 0))
        with self.store.reading(self.tenant_id) as reading:
            kept = TenantHistory(reading, self.under_way, run.target_generation)
            count, digest = digest_of(kept.streams())
        if (count, digest) != (run.target_count, run.target_digest):
            raise staging_differs(run, f"{count} with digest {digest}")
        self.live.staged()

    steps = (open_check, pause, verify_and_write, read_back, TenantChange.switch)
    """Each is recorded in the journal in the transaction of its effect."""

    # -------------------------------------------------------------------------------------- the pieces

    def _is_kept(self, reading: TenantReading, head: StoreHead, origin: Run, progress: Progress) -> bool:
        """Tell whether nothing was written since the switch, and the generation before it is kept as it was."""
        if (head.generation, head.count) != (origin.target_generation, origin.target_count):
            return False
        before = TenantHistory(reading, progress, origin.source_generation)
        return digest_of(before.streams()) == (origin.head_count, origin.head_digest)

    def _verify_unchanged(self) -> None:
        origin, run = self.origin, self.live.run
        assert origin is not None
        if run.head_count != origin.target_count:
            raise RefusedError(
                "ROLLBACK_UNSAFE",
                f"cannot reactivate generation {origin.source_generation} of tenant {self.tenant_id!r}: events were "
                "written while the rollback began",
                hint="nothing was changed; run the same command again, which then takes these events back too",
            )
        assert origin.target_digest is not None
        assert origin.head_count is not None
        assert origin.head_digest is not None
        self.live.verified(origin.target_digest, origin.head_count, origin.head_digest)

    def _undo(self, history: TenantHistory, staging: Staging | None) -> None:
        """Build the inverse of the whole history, and write it where asked; raises ROLLBACK_UNSAFE."""
        assert self.migration is not None
        obstacles = reversibility(self.migration, self.source)
        plan = compile_undo(
            self.migration, self.source, only_inspect=not obstacles.reversible, snapshots=staging is not None
        )
        staged, snapshots = (None, None) if staging is None else (Undone(staging), staging.snapshots)
        regained = None
        if self.origin is not None and isinstance(history, PlacedHistory) and obstacles.method == "declared":
            regained = Regained(history, self.origin, staged)
        verdict, digests = undo_history(plan, history, regained or staged, snapshots)
        integrity = check_integrity(verdict.integrity, digests.given, None)
        faults = [] if integrity.ok else [str(integrity.detail)]
        reasons = [
            *self._version_faults(),
            *obstacles.reasons,
            *self._unknown_source(),
            *history_obstacles(verdict),
            *faults,
        ]
        reasons += [] if regained is None else regained.obstacles(is_refused=bool(reasons))
        if reasons:
            raise self._unsafe(reasons, self._hint(obstacles, is_intact=integrity.ok))
        self.events, self.digests = verdict.events, digests

    def _version_faults(self) -> Iterator[str]:
        """Say where the migration is not the one between the version of the bundle before and that of the tenant."""
        assert self.migration is not None
        yield from version_faults(self.source, None, self.migration)
        leads_to, active = self.migration.to_version, self.gate.active_version
        if active != leads_to:
            yield f"the migration leads to version {leads_to}, the tenant is on version {active}"

    def _is_done_by(self, run: Run) -> bool:
        """Tell whether it was this run that has taken the migration back, and made active what is active now."""
        known = (run.kind, run.migration_id, run.target_generation)
        is_it = known == ("rollback", self.order.migration, self.gate.active_generation)
        return is_it and run.switched_at_ms is not None

    def _led_elsewhere(self) -> str:
        if self.done_before is not None:
            who = f"rollback {self.done_before.run_id} of {self.done_before.actor_id!r}"
            return (
                f"nothing was written; {who} has done it already, the tenant is on version {self.gate.active_version}"
            )
        return (
            f"nothing was written; the tenant is on version {self.gate.active_version}, and only the migration that "
            "led there can be taken back"
        )

    def _unknown_source(self) -> list[str]:
        if self.source is not None:
            return []
        return [
            f"the tenant's journal has no cutover by {self.order.migration!r}, so the bundle before it is not known"
        ]

    def _hint(self, obstacles: Reversibility, *, is_intact: bool) -> str:
        """Say what can be done: about the migration first, which cannot change any more, then about the history."""
        assert self.target is not None
        assert self.migration is not None
        if self.migration.to_version != self.gate.active_version:
            return self._led_elsewhere()
        if self.source is not None and self.source.version not in {None, self.migration.from_version}:
            return _GIVE_SOURCE
        misnamed = misnamed_inverse(self.source, self.target, self.migration)
        if misnamed is not None:
            return f"nothing was written; keep the migrated history, whose migration has a wrong inverse: {misnamed}"
        if not obstacles.declarable:
            return NO_INVERSE
        if not obstacles.reversible:
            return "nothing was written; keep the migrated history: an inverse has to be declared before the cutover"
        if self.source is None:
            return _GIVE_SOURCE
        if not is_intact:
            return "nothing was written; store-check shows what is wrong with the history"
        kept = "nothing was written; keep the migrated history: the version before cannot hold what is named"
        return f"{kept}, or the inverse does not restore it" if obstacles.method == "declared" else kept

    def _require_source(self) -> None:
        """Refuse a bundle that is not the one before the migration, where the journal knows that."""
        given, origin = self.order.source, self.origin
        if given is None or origin is None or given.digest == origin.source_bundle:
            return
        found = f"expected digest {origin.source_bundle}, found {given.digest}"
        raise self._unsafe(
            [f"the --from bundle is not the one before {self.order.migration!r}: {found}"],
            "nothing was written; leave --from out, since the tenant's journal knows that bundle",
        )

    def _unsafe(self, reasons: list[str], hint: str) -> RefusedError:
        self.reasons = reasons
        more = and_more(len(reasons))
        return RefusedError(
            "ROLLBACK_UNSAFE",
            f"cannot roll back {self.order.migration!r} of tenant {self.tenant_id!r}: {reasons[0]}{more}",
            hint=hint,
        )


def _origin(runs: Iterable[Run], active_bundle: str, migration: str) -> Run | None:
    """Return the last cutover by the migration to the bundle that is active.

    Its generation tells which is the last, since none is given twice. Clocks do not: one may have been set back since.
    """
    found = (
        run
        for run in runs
        if run.kind == "cutover"
        and run.switched_at_ms is not None
        and (run.target_bundle, run.migration_id) == (active_bundle, migration)
    )
    return max(found, key=lambda run: run.target_generation or 0, default=None)


def _describe(
    change: TenantRollback,
    outcome: Literal["switched", "rehearsed", "refused", "failed"],
    error: BaseException | None,
) -> StoreRollback:
    run = change.live.run if change.has_run else None
    gate = gate_now(change)
    known, exit_code = (UNSET, 0) if error is None else described(error)
    done = error is None
    return StoreRollback(
        ok=done,
        mode="rollback",
        tenant_id=change.tenant_id,
        outcome=outcome,
        migration_id=change.order.migration,
        method=change.method or UNSET,
        from_version=None if change.migration is None else change.migration.to_version,
        to_version=None if change.migration is None else change.migration.from_version,
        rolled_back_events=change.events if done else 0,
        source_checked=change.source is not None,
        boundaries=boundaries_of(run),
        active_version=None if gate is None else gate.active_version,
        tenant_paused=None if gate is None else gate.is_paused,
        mutated=mutated_by(change),
        exit_code=exit_code,
        run_id=UNSET if run is None else run.run_id,
        source_digest=UNSET if run is None or run.head_digest is None else run.head_digest,
        rolled_back_digest=UNSET if run is None or run.target_digest is None else run.target_digest,
        predicted_pause_ms=UNSET if change.predicted_s is None else round(change.predicted_s * 1000),
        pause_ms=pause_ms(run),
        resumed_by=UNSET if run is None or run.resumed_by is None else run.resumed_by,
        recovered=UNSET if change.recovered is None else change.recovered,
        error=known,
        reasons=change.reasons or UNSET,
    )
