"""How live tenants stand: who has them, how far that has come, and whether they are paused; for people and machines.

One query for all tenants, or one for each of a few that are named; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from cicsc.durable import whole_file
from cicsc.errors import UnknownTenantError
from cicsc.history.names import require_names
from cicsc.operations.live.recovery import boundaries_of
from cicsc.operations.live.reporting import pause_ms
from cicsc.operations.sources import guard_outputs
from cicsc.report.live.metrics import metrics_text
from cicsc.report.live.models import RunOutcome, RunStatus, StatusReport, TenantStatus

if TYPE_CHECKING:
    from cicsc.store.protocol import Store
    from cicsc.store.records import Gate, Run, Standing

ONE_BY_ONE_MAX: Final = 20
"""Named tenants that are asked for one by one; for more, all are read at once."""


def tenant_status(
    store: Store, tenants: Collection[str] = (), *, metrics_out: str | Path | None = None
) -> StatusReport:
    """Tell how tenants stand, by default all; `metrics_out` gets the same in the text format of Prometheus, whole.

    Raises UNKNOWN_TENANT, UsageError where the file is one of the store's, and WorkError where it cannot be written.
    """
    require_names(tenants)
    if metrics_out is not None:
        guard_outputs(store.files, {"--metrics-out": Path(metrics_out)})
    standings = [*_standings(store, tenants)]
    report = StatusReport(
        ok=True,
        at=max((standing.gate.clock_ms for standing in standings), default=None),
        tenants=[_tenant(standing) for standing in standings],
        metrics_path=UNSET if metrics_out is None else str(metrics_out),
    )
    if metrics_out is not None:
        with whole_file(metrics_out) as file:
            file.write(metrics_text(report).encode())
    return report


def _standings(store: Store, tenants: Collection[str]) -> Iterator[Standing]:
    names = sorted(set(tenants))
    if 0 < len(names) <= ONE_BY_ONE_MAX:
        for name in names:
            yield from store.runs.standings(name)
        return
    missing = set(names)
    for standing in store.runs.standings():
        if not names or standing.gate.tenant_id in missing:
            missing.discard(standing.gate.tenant_id)
            yield standing
    if missing:
        raise UnknownTenantError(min(missing))


def _tenant(standing: Standing) -> TenantStatus:
    gate, run = standing.gate, standing.run
    has_run = run is not None and run.run_id == gate.owner
    since = None
    if gate.is_paused:
        since = run.paused_at_ms if has_run and run is not None else standing.paused_ms
    lease = gate.lease_until_ms if gate.lease_until_ms is not None or not has_run or run is None else run.lease_until_ms
    return TenantStatus(
        tenant_id=gate.tenant_id,
        active_version=gate.active_version,
        active_bundle=gate.active_bundle,
        active_generation=gate.active_generation,
        staging_generation=gate.staging_generation,
        paused=gate.is_paused,
        paused_since=since,
        pause_ms=None if since is None else max(gate.clock_ms - since, 0),
        pause_deadline=gate.pause_deadline_ms if gate.is_paused else None,
        lease_until=lease,
        lease_remaining_ms=None if lease is None else max(lease - gate.clock_ms, 0),
        owner=gate.owner,
        owner_kind=None if gate.owner is None else "run" if has_run else "operator",
        epoch=gate.epoch,
        run=None if run is None else _run(run, gate, has_tenant=has_run),
    )


def _run(run: Run, gate: Gate, *, has_tenant: bool) -> RunStatus:
    pause = pause_ms(run)
    return RunStatus(
        run_id=run.run_id,
        kind=run.kind,
        actor_id=run.actor_id,
        migration_id=run.migration_id,
        phase=run.phase,
        outcome=_outcome(run, gate, has_tenant=has_tenant),
        has_tenant=has_tenant,
        epoch=run.epoch,
        lease_until=run.lease_until_ms,
        from_version=run.source_version,
        to_version=run.target_version,
        started_at=run.started_ms,
        boundaries=boundaries_of(run),
        pause_ms=None if pause is UNSET else pause,
        resumed_by=run.resumed_by,
        ended_at=run.ended_ms,
        reason=run.reason,
    )


def _outcome(run: Run, gate: Gate, *, has_tenant: bool) -> RunOutcome:
    if has_tenant and max(run.lease_until_ms, gate.lease_until_ms or 0) <= gate.clock_ms:
        return "abandoned"
    if run.switched_at_ms is not None:
        return "switched"
    if run.phase == "ABORTED":
        return "aborted"
    return "done" if run.phase == "DONE" else "running"
