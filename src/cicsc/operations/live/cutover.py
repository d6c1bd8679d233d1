"""Cutover, chapter 3 of the runbook: pause, verify, write, switch, resume, on a live tenant.

The full preflight runs first, with the tenant open, so that what fails there never pauses anybody.
Under the fence everything is verified again while it is written beside the history, read back, and
made active in one transaction that opens the tenant too. Without `execute` it is rehearsed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from msgspec import UNSET
from msgspec.structs import asdict

from cicsc.errors import RefusedError, and_more
from cicsc.operations.assess import Assessment, Call, Outputs, assess
from cicsc.operations.live.binding import Approval, Intent, require_approved, require_repeated
from cicsc.operations.live.change import TenantChange, Terms
from cicsc.operations.live.places import PlacedHistory
from cicsc.operations.live.recovery import boundaries_of
from cicsc.operations.live.reporting import attempted, described, gate_now, mutated_by, pause_ms, with_note
from cicsc.operations.live.sharing import ELSEWHERE, SharedHistory, StagedHistory, cut_for
from cicsc.operations.live.staging import staging_into
from cicsc.operations.stored_streams import require_seen, require_whole
from cicsc.progress import SILENT, Amount
from cicsc.report.live.models import Cutover, WriterTerminated
from cicsc.store.records import RunPlan

if TYPE_CHECKING:
    from cicsc.bundle.model import Bundle
    from cicsc.history.rows import RowWriter
    from cicsc.operations.arguments import Equivalence
    from cicsc.operations.stored_streams import TenantHistory
    from cicsc.progress import Progress
    from cicsc.report.live.models import Outcome
    from cicsc.store.protocol import Store, TenantReading


class Order(Terms, frozen=True, kw_only=True):
    """What an operator orders, for each tenant alike."""

    target: Bundle
    migration: str
    approval: Approval | None = None
    now: int | None = None
    actor: str | None = None
    equivalence: Equivalence = "final"
    accept_source_violations: tuple[str, ...] = ()

    def intent(self, source: Bundle) -> Intent:
        """Return what is about to be applied to a tenant on `source`."""
        return Intent(
            source.digest,
            self.target.digest,
            self.migration,
            self.equivalence,
            self.accept_source_violations,
            self.now,
            self.actor,
        )


def cut_over(store: Store, tenant_id: str, order: Order, progress: Progress = SILENT) -> Cutover:
    """Cut one tenant over, or rehearse it; whatever happens is told in the report, also a signal."""
    change = TenantCutover(store, tenant_id, order, progress)
    outcome, error = attempted(change, change.carry_out)
    report = describe(change, outcome, error)
    return with_note(report, change.record_end(report.to_json().decode()))


class TenantCutover(TenantChange):
    """The cutover of one tenant."""

    def __init__(self, store: Store, tenant_id: str, order: Order, progress: Progress = SILENT) -> None:
        super().__init__(store, tenant_id, order, progress)
        self.order = order
        self.source: Bundle | None = None
        self.assessment: Assessment | None = None
        self.is_bound = False

    def carry_out(self) -> Literal["already", "rehearsed", "switched"]:
        """Do what is ordered; a tenant that is on the target already is left alone."""
        self.look()
        if self._is_repeated():
            if self.order.approval is not None:
                require_repeated(self.order.approval, self._intent(), self.tenant_id)
            if self.order.execute:
                self.follow()
            return "already"
        if not self.order.execute:
            self.rehearse()
            return "rehearsed"
        self.execute()
        return "switched"

    def run_plan(self) -> RunPlan:
        """Return what the journal says of the run when it begins."""
        digest = self._intent().digest(self.order.approval)
        return RunPlan("cutover", self.order.operator, digest, self.order.migration)

    def look(self) -> None:
        """See on which version the tenant is."""
        super().look()
        self.source = self.store.bundle(self.gate.active_bundle)

    def check(self, progress: Progress) -> None:
        """Run the full preflight, and hold the artifact against the tenant."""
        self._require_version()
        self.require_fence()
        with self.store.moment(settled=self.tenant_id) as moment:
            reading = moment.reading(self.tenant_id)
            if self.order.approval is not None:
                require_approved(self.order.approval, self._intent(), self.tenant_id, reading)
                self.is_bound = True
            began, head = time.monotonic(), reading.head()
            progress.begin("preflight", Amount(head.count))
            cut = cut_for(self.store, reading, head, self.order.workers, moment)
            self.assessment = assess(self._call(SharedHistory(reading, progress, cut)), Outputs())
            self.predict(time.monotonic() - began)
        self._require_yes(self.assessment, "PREFLIGHT_FAILED")
        require_seen(self.tenant_id, head, self.assessment.source_events)
        self.require_short()

    # --------------------------------------------------------------------------------------- the steps

    def open_preflight(self) -> None:
        """Check everything with the tenant open, then say where the run leads to."""
        self.check(self.under_way)
        target = self.order.target
        self.store.put_bundle(target)
        self.live.aim("migrate", target.digest, target.migrations[self.order.migration].to_version)

    def verify_and_write(self) -> None:
        """Verify the history as it is now, and write what it becomes beside it."""
        head = self.live.run.head
        self.progress.begin("writing", Amount(head.count))
        with self.store.reading(self.tenant_id) as reading:
            cut = cut_for(self.store, reading, head, self.order.workers)
            if cut is None:
                assessment = self._write_here(reading)
            else:
                history = StagedHistory(reading, self.under_way, cut, self.live.run)
                assessment = self._verify(history, (ELSEWHERE, ELSEWHERE, ELSEWHERE))
                self.written = history.written
            require_whole(reading, head, assessment.source_events)
        digests = assessment.digests
        assert digests.given is not None
        assert digests.made is not None
        self.live.verified(digests.given, assessment.migrated_events, digests.made)

    steps = (open_preflight, TenantChange.pause, verify_and_write, TenantChange.read_back, TenantChange.switch)
    """The runbook's order. Each is recorded in the journal in the transaction of its effect."""

    # -------------------------------------------------------------------------------------- the pieces

    def _is_repeated(self) -> bool:
        """Tell whether the tenant is where the migration leads to; else it is checked, and refused for what it is."""
        target, gate = self.order.target, self.gate
        migration = target.migrations.get(self.order.migration)
        is_led_to = migration is not None and migration.to_version == gate.active_version
        return is_led_to and gate.active_bundle == target.digest

    def _write_here(self, reading: TenantReading) -> Assessment:
        history = PlacedHistory(reading, self.under_way)
        with staging_into(self.store, self.tenant_id, history.places, self.live.stage) as staging:
            assessment = self._verify(history, (staging.events, staging.positions, staging.snapshots))
            staging.finish()
        self.written = [staging.written()]
        return assessment

    def _verify(
        self, history: TenantHistory, writers: tuple[RowWriter[Any], RowWriter[Any], RowWriter[Any]]
    ) -> Assessment:
        events, positions, snapshots = writers
        outputs = Outputs(digests=True, events=events, positions=positions, snapshots=snapshots)
        self.assessment = assess(self._call(history), outputs)
        self._require_yes(self.assessment, "VERIFICATION_FAILED")
        return self.assessment

    def _intent(self) -> Intent:
        assert self.source is not None
        return self.order.intent(self.source)

    def _call(self, history: TenantHistory) -> Call:
        order = self.order
        assert self.source is not None
        return Call(
            self.source,
            order.target,
            history,
            order.migration,
            now=order.now,
            actor=order.actor,
            equivalence=order.equivalence,
            accept_source_violations=order.accept_source_violations,
            workers=order.workers,
        )

    def _require_version(self) -> None:
        """Refuse a migration that does not begin at the tenant's version."""
        migration = self.order.target.migrations.get(self.order.migration)
        if migration is not None and migration.from_version != self.gate.active_version:
            raise RefusedError(
                "VERSION_DIFFERS",
                f"migration {self.order.migration!r} begins at version {migration.from_version}, "
                f"tenant {self.tenant_id!r} is at version {self.gate.active_version}",
                hint="give the bundle whose migration begins there; tenant-list shows the versions",
            )

    def _require_yes(self, assessment: Assessment, code: str) -> None:
        report = assessment.report
        if report.ok:
            return
        checks = ((name, getattr(report.checks, name)) for name in report.checks.__struct_fields__)
        failed = [(name, check) for name, check in checks if not check.ok and not check.skipped]
        name, check = failed[0]
        detail = "" if check.detail is UNSET else f": {check.detail}"
        more = and_more(len(failed))
        raise RefusedError(
            code,
            f"tenant {self.tenant_id!r} cannot be cut over: {name} failed{detail}{more}",
            hint="nothing was changed; migration-preflight --store shows all that was found",
        )


def describe(cutover: TenantCutover, outcome: Outcome, error: BaseException | None = None) -> Cutover:
    """Report one tenant."""
    run = cutover.live.run if cutover.has_run else None
    gate = gate_now(cutover)
    known, exit_code = (UNSET, 0) if error is None else described(error)
    assessment = cutover.assessment
    report = None if assessment is None else assessment.report
    migration = cutover.order.target.migrations.get(cutover.order.migration)
    refused = outcome == "refused" and report is not None and not report.ok
    return Cutover(
        ok=error is None,
        mode="pause_migrate_resume",
        tenant_id=cutover.tenant_id,
        outcome=outcome,
        migration_id=cutover.order.migration,
        from_version=None if migration is None else migration.from_version,
        to_version=None if migration is None else migration.to_version,
        migrated_events=0 if assessment is None else assessment.migrated_events,
        boundaries=boundaries_of(run),
        active_version=None if gate is None else gate.active_version,
        tenant_paused=None if gate is None else gate.is_paused,
        mutated=mutated_by(cutover),
        exit_code=exit_code,
        run_id=UNSET if run is None else run.run_id,
        interrupted=cutover.is_interrupted or isinstance(error, KeyboardInterrupt),
        artifact_bound=cutover.is_bound,
        predicted_pause_ms=UNSET if cutover.predicted_s is None else round(cutover.predicted_s * 1000),
        pause_ms=pause_ms(run),
        resumed_by=UNSET if run is None or run.resumed_by is None else run.resumed_by,
        writers_terminated=[WriterTerminated(**asdict(writer)) for writer in cutover.ended_writers] or UNSET,
        recovered=UNSET if cutover.recovered is None else cutover.recovered,
        reversibility=UNSET if report is None else report.reversibility,
        checks=report.checks if refused and report is not None else UNSET,
        verify=UNSET if report is None else report.verify,
        error=known,
    )
