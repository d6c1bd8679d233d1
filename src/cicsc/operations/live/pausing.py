"""An operator's own pause of a tenant: begun for some seconds, ended by the same owner at the same epoch.

The pause of a run is not opened here: whoever has the run does that, or who takes it over.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from cicsc.errors import FenceError, UsageError
from cicsc.report.live.models import PauseReport

if TYPE_CHECKING:
    from cicsc.store.protocol import Store
    from cicsc.store.records import Gate


def pause_tenant(store: Store, tenant_id: str, *, seconds: float, owner: str) -> PauseReport:
    """Refuse writes of a tenant for some seconds.

    Raises GATE_HELD, RUN_HELD and RUN_ABANDONED where another has it, and OWNER_IS_RUN for the id of a run.
    """
    _require_no_run(store, tenant_id, owner, "a run's pause is its own business; give your name with --owner")
    return _report(store.pause(tenant_id, owner=owner, seconds=seconds))


def resume_tenant(store: Store, tenant_id: str, *, owner: str, epoch: int) -> PauseReport:
    """Open a tenant that an operator paused. Raises GATE_LOST, and OWNER_IS_RUN for the id of a run."""
    _require_no_run(
        store,
        tenant_id,
        owner,
        f"if it is known to be dead, migration-recover --tenant {quote(tenant_id)} --take-over {owner} {epoch}",
    )
    return _report(store.resume(tenant_id, owner=owner, epoch=epoch))


def _require_no_run(store: Store, tenant_id: str, owner: str, hint: str) -> None:
    try:
        run = store.runs.run(tenant_id, owner)
    except FenceError as error:
        if error.code != "UNKNOWN_RUN":
            raise
        return
    raise UsageError("OWNER_IS_RUN", f"owner {owner!r} is the id of a {run.kind} of tenant {tenant_id!r}", hint=hint)


def _report(gate: Gate) -> PauseReport:
    remaining = None if gate.lease_until_ms is None else max(gate.lease_until_ms - gate.clock_ms, 0)
    return PauseReport(
        ok=True,
        tenant_id=gate.tenant_id,
        paused=gate.is_paused,
        owner=gate.owner,
        epoch=gate.epoch,
        lease_until=gate.lease_until_ms,
        remaining_ms=remaining,
        active_version=gate.active_version,
    )
