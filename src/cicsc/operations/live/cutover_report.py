"""From what is known of a cutover to its report; what is true of the tenant is asked of the store once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from cicsc.errors import CicscError, FenceError
from cicsc.operations.live.recovery import boundaries_of
from cicsc.report.live.models import Cutover, Finalize, Outcome, StoreRollback

if TYPE_CHECKING:
    from cicsc.operations.live.change import TenantChange
    from cicsc.operations.live.cutover import TenantCutover
    from cicsc.store.records import Gate, Run

ChangeReport = TypeVar("ChangeReport", Cutover, StoreRollback, Finalize)

NOT_DONE = 3


def describe(cutover: TenantCutover, outcome: Outcome, error: BaseException | None = None) -> Cutover:
    """Report one tenant."""
    run = cutover.live.run if cutover.has_run else None
    gate = gate_now(cutover)
    known, exit_code = (UNSET, 0) if error is None else described(error)
    if isinstance(error, FenceError) and not cutover.has_run:
        outcome = "refused"  # whoever has the tenant comes first, and nothing was done
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
        recovered=UNSET if cutover.recovered is None else cutover.recovered,
        reversibility=UNSET if report is None else report.reversibility,
        checks=report.checks if refused and report is not None else UNSET,
        verify=UNSET if report is None else report.verify,
        error=known,
    )


def with_note(report: ChangeReport, error: BaseException | None) -> ChangeReport:
    """Say in a report that its end could not be recorded, if it could not; what it says of the tenant stands."""
    if error is None or report.error is not UNSET:
        return report
    known, _ = described(error)
    note: dict[str, object] = {
        "code": known["code"],
        "message": f"the work is done, but its end was not recorded: {known['message']}",
        "hint": "run migration-recover",
    }
    return msgspec.structs.replace(report, ok=False, exit_code=NOT_DONE, error=note)


def described(error: BaseException) -> tuple[dict[str, object], int]:
    """Return the error object of a report, and the exit code."""
    match error:
        case CicscError():
            return {"code": error.code, "message": error.message, "hint": error.hint}, error.exit_code
        case KeyboardInterrupt():
            code, message = "INTERRUPTED", "interrupted by a signal before the work was done"
        case MemoryError():
            code, message = "OUT_OF_MEMORY", "the memory does not suffice for this work"
        case _:
            code, message = "INTERNAL_ERROR", f"unexpected {type(error).__name__}: {error}"
    hint = "the report tells how the tenant stands; the same command can be run again"
    return {"code": code, "message": message, "hint": hint}, NOT_DONE


def pause_ms(run: Run | None) -> int | UnsetType:
    """Return how long a run paused its tenant."""
    if run is None or run.paused_at_ms is None or run.resumed_at_ms is None:
        return UNSET
    return run.resumed_at_ms - run.paused_at_ms


def gate_now(cutover: TenantChange) -> Gate | None:
    """Return the tenant's gate as it is now, None where it cannot be had; nothing keeps the report from being made."""
    try:
        return cutover.store.gate(cutover.tenant_id)
    except (Exception, KeyboardInterrupt):  # noqa: BLE001 - also a signal: what was done is done, and has to be told
        return None


def mutated_by(change: TenantChange) -> bool | None:
    """Tell whether a change made something else active; None where the store was lost while it did."""
    if not change.has_run:
        return False
    if change.is_lost and change.live.may_have_switched:
        return None
    return change.live.run.switched_at_ms is not None
