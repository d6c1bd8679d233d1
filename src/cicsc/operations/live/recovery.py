"""After a crash: what a run that died left behind is found in its journal, and brought to an end.

Before the switch the tenant is opened as it was, and what was staged is removed; from the switch on
the run is completed. Doing it twice is the same as doing it once.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from cicsc.errors import CicscError, FenceError, UsageError
from cicsc.operations.live.run import LEASE_S
from cicsc.operations.stored import named, wanted_tenants
from cicsc.report.live.models import Boundaries, Recovery, RecoveryReport
from cicsc.store.journal import exhaust

if TYPE_CHECKING:
    from cicsc.store.protocol import Store
    from cicsc.store.records import Run

_HELD_HINT: Final = (
    "wait for them; each report in tenants says who has the tenant, and how to take over what is known to be dead"
)
_LOCKED_HINT: Final = "each report in tenants says who writes; it is safe to try again"


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
    try:
        return _brought_to_its_end(store, tenant_id, actor_id, take_over, lease_s)
    except FenceError as error:
        if take_over is None and error.code == "RUN_LOST" and store.runs.holder(tenant_id) is None:
            return None  # another has done it in the meantime
        raise


def _brought_to_its_end(
    store: Store, tenant_id: str, actor_id: str, take_over: tuple[str, int] | None, lease_s: float
) -> RecoveryReport | None:
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
    """Recover some tenants, by default all; one that cannot be recovered is reported as held, and stops no other.

    Raises UsageError UNKNOWN_TENANT, before any is touched.
    """
    names = (
        wanted_tenants(store, tenants)
        if tenants
        else [gate.tenant_id for gate in store.gates() if gate.owner is not None]
    )
    reports = []
    for tenant_id in names:
        try:
            report = recover_tenant(store, tenant_id, actor_id=actor_id, take_over=take_over)
        except CicscError as error:
            report = _held(store, tenant_id, error)
        if report is not None:
            reports.append(report)
    return reports


def recover_tenants(
    store: Store, tenants: Collection[str] = (), *, operator: str, take_over: tuple[str, int] | None = None
) -> Recovery:
    """Recover some tenants, by default all, or take the one over whose run and epoch are named, and report it.

    Raises UsageError where a take-over does not name one tenant, RUN_LOST where its run has moved on.
    """
    if take_over is not None and len(set(tenants)) != 1:
        raise UsageError(
            "INVALID_VALUE",
            f"cannot take over run {take_over[0]} of {len(set(tenants))} tenants: expected one",
            hint="name its tenant with --tenant",
        )
    reports = recover(store, tenants, actor_id=operator, take_over=take_over)
    held = [report.tenant_id for report in reports if report.outcome == "held"]
    if not held:
        return Recovery(ok=True, exit_code=0, tenants=reports)
    if locked := [report for report in reports if report.is_locked]:
        names = named([report.tenant_id for report in locked])
        message = f"{len(locked)} of {len(reports)} runs could not be brought to an end, writes are under way: {names}"
        error: dict[str, object] = {"code": "STORE_LOCKED", "message": message, "hint": _LOCKED_HINT}
        return Recovery(ok=False, exit_code=3, tenants=reports, error=error)
    message = f"{len(held)} of {len(reports)} runs may still live, and were left alone: those of {named(held)}"
    error = {"code": "RUN_HELD", "message": message, "hint": _HELD_HINT}
    return Recovery(ok=False, exit_code=1, tenants=reports, error=error)


def _held(store: Store, tenant_id: str, error: CicscError) -> RecoveryReport:
    if error.code not in {"RUN_HELD", "RUN_LOST", "LEASE_OVER", "STORE_LOCKED"}:
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
        epoch=run.epoch,
        started_at=run.started_ms,
        lease_until=run.lease_until_ms,
        error={"code": error.code, "message": error.message, "hint": error.hint},
    )


def _ended(tenant_id: str, run_id: str) -> FenceError:
    return FenceError(
        "RUN_LOST",
        f"cannot take over run {run_id} of tenant {tenant_id!r}: it has ended",
        hint="migration-status tells how the tenant stands",
    )
