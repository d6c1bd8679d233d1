"""Cutover, chapter 3 of the runbook: pause, verify, write, switch, resume, on a live tenant.

The full preflight runs first, with the tenant open, so that what fails there never pauses anybody.
Under the fence everything is verified again while it is written beside the history, read back, and
made active in one transaction that opens the tenant too. Without `execute` it is rehearsed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from cicsc.errors import CicscError, FenceError, RefusedError
from cicsc.operations.assess import Assessment, Call, Outputs, assess
from cicsc.operations.binding import Approval, Intent, digest_of, require_approved
from cicsc.operations.cutover_report import describe, with_note
from cicsc.operations.live_run import DEFAULT_TIMING, LiveRun, Timing, reason_of
from cicsc.operations.recovery import recover_tenant
from cicsc.operations.staging import PlacedHistory, Staging
from cicsc.store.records import RunPlan
from cicsc.store.refusals import gate_held, staging_differs

if TYPE_CHECKING:
    from cicsc.bundle.model import Bundle
    from cicsc.operations.assess import Equivalence
    from cicsc.report.store_reports import Cutover, RecoveryReport
    from cicsc.store.protocol import Store
    from cicsc.store.records import Gate

PAUSE_TO_PREFLIGHT: Final = 3.5
"""How long a pause takes, as a multiple of the preflight: it verifies with digests, writes, and reads back."""


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator orders, for each tenant alike."""

    target: Bundle
    migration: str
    operator: str
    execute: bool = False
    approval: Approval | None = None
    timing: Timing = DEFAULT_TIMING
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


def cut_over(store: Store, tenant_id: str, order: Order) -> Cutover:
    """Cut one tenant over, or rehearse it; whatever happens is told in the report, also a signal."""
    return TenantCutover(store, tenant_id, order).carry_out()


class TenantCutover:
    """The cutover of one tenant, and what is known of it so far."""

    def __init__(self, store: Store, tenant_id: str, order: Order) -> None:
        self.store = store
        self.tenant_id = tenant_id
        self.order = order
        self.gate: Gate | None = None
        self.source: Bundle | None = None
        self.live: LiveRun | None = None
        self.recovered: RecoveryReport | None = None
        self.assessment: Assessment | None = None
        self.predicted_s: float | None = None
        self.is_bound = False
        self.is_lost = False

    def carry_out(self) -> Cutover:
        """Do what is ordered, and report it."""
        try:
            self._look()
            if self._is_there_already():
                return describe(self, "already")
            if not self.order.execute:
                self._rehearse()
                return describe(self, "rehearsed")
            self._execute()
        except RefusedError as error:
            return self._ended(describe(self, "refused", error))
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (it is told in the report, and the tenant is let go)
            return self._ended(describe(self, "failed", error))
        return self._ended(describe(self, "switched"))

    def _look(self) -> None:
        self.gate = self.store.gate(self.tenant_id)
        self.source = self.store.bundle(self.gate.active_bundle)

    def _is_there_already(self) -> bool:
        assert self.gate is not None
        return self.gate.active_bundle == self.order.target.digest

    def _rehearse(self) -> None:
        """Do what is done while the tenant is open, and change nothing."""
        holder = self.store.runs.holder(self.tenant_id)
        assert self.gate is not None
        if self.gate.is_paused and holder is None:
            raise gate_held(self.gate)
        self._preflight(lambda: None)

    def _execute(self) -> None:
        """Carry the steps out; whichever fails, the tenant is open afterwards."""
        self.live = self._begin()
        try:
            for step in STEPS:
                step(self)
        except BaseException as error:
            if not self._switched_after_all(error):
                raise

    def _switched_after_all(self, error: BaseException) -> bool:
        """Let the tenant go; tell whether the switch was carried out although its answer was lost."""
        assert self.live is not None
        try:
            return self.live.end(reason_of(error)).phase in {"SWITCHED", "DONE"}
        except CicscError as lost:
            # The store is gone. The lease opens the tenant, and who comes next finds the run.
            self.is_lost = True
            raise error from lost

    def _begin(self) -> LiveRun:
        """Take the tenant; a run that has died there is brought to its end first."""
        assert self.source is not None
        order = self.order
        plan = RunPlan(
            "cutover",
            order.operator,
            order.intent(self.source).digest(order.approval),
            order.migration,
        )
        try:
            return LiveRun.begin(self.store, self.tenant_id, plan, order.timing)
        except FenceError as error:
            if error.code != "RUN_ABANDONED":
                raise
        self.recovered = recover_tenant(
            self.store, self.tenant_id, actor_id=order.operator, lease_s=order.timing.lease_s
        )
        self._look()
        return LiveRun.begin(self.store, self.tenant_id, plan, order.timing)

    def _ended(self, report: Cutover) -> Cutover:
        """Record the report and give the tenant back, then say what is true of it now."""
        if self.live is None or self.is_lost:
            return report
        kept = report.to_json().decode()
        try:
            if self.live.run.phase == "SWITCHED":
                self.live.finish(kept)
            else:
                self.live.sweep(kept)
        except CicscError as error:
            # What matters is done and stands in the journal; who comes next finds the run and completes it.
            return with_note(report, error)
        return report

    # --------------------------------------------------------------------------------------- the steps

    def open_preflight(self) -> None:
        """Check everything with the tenant open; what fails here never pauses anybody."""
        assert self.live is not None
        self._preflight(self.live.tick)
        target = self.order.target
        self.store.put_bundle(target)
        assert self.assessment is not None
        assert self.assessment.report.verify is not UNSET
        self.live.aim("migrate", target.digest, self.assessment.report.verify.to_version)

    def pause(self) -> None:
        """Refuse writes, once those under way have ended."""
        assert self.live is not None
        self.live.fence()

    def verify_and_write(self) -> None:
        """Verify the history as it is now, and write what it becomes beside it."""
        live = self.live
        assert live is not None
        with self.store.reading(self.tenant_id) as reading:
            history = PlacedHistory(reading, live.tick)
            staging = Staging(self.tenant_id, history.placed, live.stage, batch_s=self.store.batch_s)
            outputs = Outputs(
                digests=True, events=staging.events, positions=staging.positions, snapshots=staging.snapshots
            )
            self.assessment = assess(self._call(history), outputs)
        self._require_yes("VERIFICATION_FAILED")
        staging.flush()
        digests = self.assessment.digests
        assert digests.given is not None
        assert digests.made is not None
        live.verified(digests.given, self.assessment.migrated_events, digests.made)

    def read_back(self) -> None:
        """Read what was written, and compare its count and digest with what was verified."""
        live = self.live
        assert live is not None
        with self.store.reading(self.tenant_id) as reading:
            written = PlacedHistory(reading, live.tick, live.run.target_generation)
            count, digest = digest_of(written.streams())
        if (count, digest) != (live.run.target_count, live.run.target_digest):
            raise staging_differs(live.run, f"{count} with digest {digest}")
        live.staged()

    def switch(self) -> None:
        """Make it active and open the tenant, in one transaction."""
        assert self.live is not None
        self.live.switch()

    # -------------------------------------------------------------------------------------- the checks

    def _preflight(self, tick: Callable[[], None]) -> None:
        assert self.gate is not None
        assert self.source is not None
        self._require_version()
        with self.store.reading(self.tenant_id, settled=True) as reading:
            if self.order.approval is not None:
                intent = self.order.intent(self.source)
                require_approved(self.order.approval, intent, self.tenant_id, reading)
                self.is_bound = True
            began = time.monotonic()
            self.assessment = assess(self._call(PlacedHistory(reading, tick)), Outputs())
            self.predicted_s = PAUSE_TO_PREFLIGHT * (time.monotonic() - began)
        self._require_yes("PREFLIGHT_FAILED")
        if self.predicted_s > self.order.timing.max_pause_s:
            raise RefusedError(
                "PAUSE_TOO_LONG",
                f"the pause of tenant {self.tenant_id!r} would take about {self.predicted_s:.1f} s: "
                f"expected at most {self.order.timing.max_pause_s:g} s",
                hint="allow a longer one with --max-pause",
            )

    def _call(self, history: PlacedHistory) -> Call:
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
        )

    def _require_version(self) -> None:
        """Refuse a migration that does not begin at the tenant's version."""
        assert self.gate is not None
        migration = self.order.target.migrations.get(self.order.migration)
        if migration is not None and migration.from_version != self.gate.active_version:
            raise RefusedError(
                "VERSION_DIFFERS",
                f"migration {self.order.migration!r} begins at version {migration.from_version}, "
                f"tenant {self.tenant_id!r} is at version {self.gate.active_version}",
                hint="give the bundle whose migration begins there; tenant-list shows the versions",
            )

    def _require_yes(self, code: str) -> None:
        assert self.assessment is not None
        report = self.assessment.report
        if not report.ok:
            failed = [
                (name, check)
                for name in report.checks.__struct_fields__
                if not (check := getattr(report.checks, name)).ok and not check.skipped
            ]
            name, check = failed[0]
            detail = "" if check.detail is UNSET else f": {check.detail}"
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            raise RefusedError(
                code,
                f"tenant {self.tenant_id!r} cannot be cut over: {name} failed{detail}{more}",
                hint="nothing was changed; migration-preflight --store shows all that was found",
            )


STEPS: Final = (
    TenantCutover.open_preflight,
    TenantCutover.pause,
    TenantCutover.verify_and_write,
    TenantCutover.read_back,
    TenantCutover.switch,
)
"""The runbook's order. Each is recorded in the journal in the transaction of its effect."""
