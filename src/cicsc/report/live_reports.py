"""The reports on how live tenants stand, and on what an operator does to them by hand.

Times are milliseconds since the epoch and durations milliseconds, both on the database's clock.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from cicsc.report.models import Report
from cicsc.report.store_reports import Boundaries, RecoveryReport

RunOutcome = Literal["running", "abandoned", "switched", "aborted", "done"]
"""running: its lease holds. abandoned: it has the tenant, and its lease is over. done: it ended without a switch."""


class RunStatus(Report, frozen=True, kw_only=True, omit_defaults=False):
    """A run that has a tenant, or the last one that had it; `reason` says why it was aborted."""

    run_id: str
    kind: str
    actor_id: str
    migration_id: str | None
    phase: str
    outcome: RunOutcome
    has_tenant: bool
    epoch: int
    lease_until: int
    from_version: int
    to_version: int | None
    started_at: int
    boundaries: Boundaries
    pause_ms: int | None
    resumed_by: str | None
    ended_at: int | None
    reason: str | None


class TenantStatus(Report, frozen=True, kw_only=True, omit_defaults=False):
    """How one tenant stands.

    `paused` says whether writes are refused now: a lease that is over has opened the tenant, whoever
    owned it. `paused_since` and `pause_ms` are of the pause that holds now.
    """

    tenant_id: str
    active_version: int
    active_bundle: str
    active_generation: int
    staging_generation: int | None
    paused: bool
    paused_since: int | None
    pause_ms: int | None
    pause_deadline: int | None
    lease_until: int | None
    lease_remaining_ms: int | None
    owner: str | None
    owner_kind: Literal["run", "operator"] | None
    epoch: int
    run: RunStatus | None


class StatusReport(Report, frozen=True, kw_only=True):
    """How tenants stand at one moment of the database's clock; null where the store has no tenant."""

    ok: bool
    at: int | None
    tenants: list[TenantStatus]
    metrics_path: str | UnsetType = UNSET


class Recovery(Report, frozen=True, kw_only=True):
    """What was found of runs that had died, tenant by tenant, and what was done; nothing found is ok."""

    ok: bool
    exit_code: int
    tenants: list[RecoveryReport]
    error: dict[str, object] | UnsetType = UNSET


class PauseReport(Report, frozen=True, kw_only=True, omit_defaults=False):
    """A tenant that an operator paused, or opened again; `owner` and `epoch` are what opens it."""

    ok: bool
    tenant_id: str
    paused: bool
    owner: str | None
    epoch: int
    lease_until: int | None
    remaining_ms: int | None
    active_version: int
