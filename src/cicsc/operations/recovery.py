"""After a crash: what a run that died left behind is found in its journal, and brought to an end.

Before the switch the tenant is opened as it was, and what was staged is removed; from the switch on
the run is completed. Doing it twice is the same as doing it once.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from msgspec import UNSET

from cicsc.errors import CicscError, FenceError
from cicsc.operations.live_run import LEASE_S
from cicsc.report.store_reports import Boundaries, RecoveryReport
from cicsc.store.journal import exhaust

if TYPE_CHECKING:
    from cicsc.store.protocol import Store
    from cicsc.store.records import Run


def boundaries_of(run: Run | None) -> Boundaries:
    """Return when a run passed each boundary, as its journal has it."""
    if run is None:
        return Boundaries()
    return Boundaries(
        paused_at=run.paused_at_ms,
        verified_at=run.verified_at_ms,
        switched_at=run.switched_at_ms,
        resumed_at=run.resumed_at_ms,
    )


def recover_tenant(
    store: Store, tenant_id: str, *, actor_id: str, take_over: tuple[str, int] | None = None, lease_s: float = LEASE_S
) -> RecoveryReport | None:
    """Bring the run that has a tenant to its end, and say what was found; None where no run has it.

    Only a run whose lease is over is touched, or the one that `take_over` names with its epoch. Raises
    RUN_HELD for one that may live, RUN_LOST for a take-over of what has moved on.
    """
    found = store.runs.holder(tenant_id)
    if found is None:
        if take_over is not None:
            store.runs.run(tenant_id, take_over[0])
            raise _ended(tenant_id, take_over[0])
        return None
    run_id, epoch = (found.run_id, None) if take_over is None else take_over
    run = store.runs.claim(tenant_id, run_id, lease_s=lease_s, actor_id=actor_id, epoch=epoch)
    if run.phase == "SWITCHED" or found.kind == "finalize":
        outcome = "finished" if run.phase == "SWITCHED" else "cleaned"
    else:
        outcome = "cleaned" if found.phase == "ABORTED" else "reopened"
    report = RecoveryReport(
        tenant_id=tenant_id,
        run_id=run.run_id,
        kind=run.kind,
        actor_id=run.actor_id,
        found_phase=found.phase,
        outcome=outcome,  # type: ignore[arg-type]
        boundaries=boundaries_of(run),
        resumed_by=run.resumed_by or UNSET,
    )
    kept = report.to_json().decode()
    if run.phase == "SWITCHED":
        store.runs.finish(run, report=kept)
    else:
        exhaust(store.runs.sweep(run, lease_s=lease_s, report=kept))
    return report


def recover(
    store: Store, tenants: Collection[str] = (), *, actor_id: str, take_over: tuple[str, int] | None = None
) -> list[RecoveryReport]:
    """Recover some tenants, by default all; one that cannot be recovered is reported as held, and stops no other."""
    names = sorted(set(tenants)) if tenants else [gate.tenant_id for gate in store.gates()]
    reports = []
    for tenant_id in names:
        try:
            report = recover_tenant(store, tenant_id, actor_id=actor_id, take_over=take_over)
        except CicscError as error:
            report = _held(store, tenant_id, error)
        if report is not None:
            reports.append(report)
    return reports


def _held(store: Store, tenant_id: str, error: CicscError) -> RecoveryReport:
    if error.code not in {"RUN_HELD", "RUN_LOST", "STORE_LOCKED"}:
        raise error
    run = store.runs.holder(tenant_id)
    if run is None:
        raise error
    return RecoveryReport(
        tenant_id=tenant_id,
        run_id=run.run_id,
        kind=run.kind,
        actor_id=run.actor_id,
        found_phase=run.phase,
        outcome="held",
        boundaries=boundaries_of(run),
        error={"code": error.code, "message": error.message, "hint": error.hint},
    )


def _ended(tenant_id: str, run_id: str) -> FenceError:
    return FenceError(
        "RUN_LOST",
        f"cannot take over run {run_id} of tenant {tenant_id!r}: it has ended",
        hint="migration-status tells how the tenant stands",
    )
