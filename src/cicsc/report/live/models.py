"""The reports on live tenants: cutover, recovery, and what is true of a tenant now (docs/formats.md, Reports).

Times are milliseconds since the epoch, on the database's clock.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from cicsc.report.models import Checks, Report, ReversibilityReport, Verify

Outcome = Literal["switched", "already", "rehearsed", "refused", "failed"]
"""switched: it is on the target. already: it was before. rehearsed: it may go. refused: the verdict is no."""


class Boundaries(Report, frozen=True, kw_only=True, omit_defaults=False):
    """When a tenant passed each boundary of a cutover; null where it never did."""

    paused_at: int | None = None
    verified_at: int | None = None
    switched_at: int | None = None
    resumed_at: int | None = None


class RecoveryReport(Report, frozen=True, kw_only=True):
    """What was found of a run that had died, and what was done.

    One that may still live is `held`: `epoch` and `run_id` are what a take-over has to name. So is one that could not
    be followed, since writes under way did not end; `error` tells which it is.
    """

    tenant_id: str
    run_id: str
    kind: str
    actor_id: str
    found_phase: str
    outcome: Literal["finished", "reopened", "cleaned", "held"]
    boundaries: Boundaries
    resumed_by: str | UnsetType | None = UNSET
    epoch: int | UnsetType = UNSET
    started_at: int | UnsetType = UNSET
    lease_until: int | UnsetType = UNSET
    error: dict[str, object] | UnsetType = UNSET

    @property
    def is_locked(self) -> bool:
        """Whether writes under way held it, which may be those of the run itself."""
        return self.error is not UNSET and self.error["code"] == "STORE_LOCKED"


class WriterTerminated(Report, frozen=True, kw_only=True, omit_defaults=False):
    """A session that idled in a transaction on the tenant, for so long, and was ended because the operator said so."""

    pid: int
    user: str | None
    application: str
    idle_ms: int


class Cutover(Report, frozen=True, kw_only=True):
    """The cutover of one tenant, carried out or rehearsed.

    `mutated` tells whether this call changed what is active, null where the store was lost while it did
    so; then the other facts are null too, and the journal knows. `checks` are there where the preflight
    refused; `predicted_pause_ms` is an estimate from the preflight's own speed. `interrupted` tells
    that a signal came meanwhile, whether or not it changed the outcome.
    """

    ok: bool
    mode: Literal["pause_migrate_resume"]
    tenant_id: str
    outcome: Outcome
    migration_id: str
    from_version: int | None
    to_version: int | None
    migrated_events: int
    boundaries: Boundaries
    active_version: int | None
    tenant_paused: bool | None
    mutated: bool | None
    exit_code: int
    run_id: str | UnsetType = UNSET
    interrupted: bool = False
    artifact_bound: bool = False
    predicted_pause_ms: int | UnsetType = UNSET
    pause_ms: int | UnsetType = UNSET
    resumed_by: str | UnsetType | None = UNSET
    writers_terminated: list[WriterTerminated] | UnsetType = UNSET
    recovered: RecoveryReport | UnsetType = UNSET
    reversibility: ReversibilityReport | UnsetType = UNSET
    checks: Checks | UnsetType = UNSET
    verify: Verify | UnsetType = UNSET
    error: dict[str, object] | UnsetType = UNSET


class Cutovers(Report, frozen=True, kw_only=True):
    """The cutovers of several tenants, each its own; `not_moved` names every tenant that is not on the target now.

    `tenants` holds those that were begun, in the order in which they were given; after a signal, or when
    no worker could be started or the store is gone, there may be others, which `counts` has as `not_begun`.
    """

    ok: bool
    mode: Literal["pause_migrate_resume"]
    migration_id: str
    executed: bool
    counts: dict[str, int]
    not_moved: list[str]
    exit_code: int
    tenants: list[Cutover]
    error: dict[str, object] | UnsetType = UNSET


class StoreRollback(Report, frozen=True, kw_only=True):
    """The rollback of one live tenant, carried out or rehearsed.

    `method` is `reactivate` where nothing was written since the switch and the old generation becomes
    active again, else `inverse`. `reasons` name every obstacle.
    """

    ok: bool
    mode: Literal["rollback"]
    tenant_id: str
    outcome: Literal["switched", "rehearsed", "refused", "failed"]
    migration_id: str
    method: Literal["reactivate", "inverse"] | UnsetType = UNSET
    from_version: int | None
    to_version: int | None
    rolled_back_events: int
    source_checked: bool
    boundaries: Boundaries
    active_version: int | None
    tenant_paused: bool | None
    mutated: bool | None
    exit_code: int
    run_id: str | UnsetType = UNSET
    source_digest: str | UnsetType = UNSET
    rolled_back_digest: str | UnsetType = UNSET
    predicted_pause_ms: int | UnsetType = UNSET
    pause_ms: int | UnsetType = UNSET
    resumed_by: str | UnsetType | None = UNSET
    recovered: RecoveryReport | UnsetType = UNSET
    error: dict[str, object] | UnsetType = UNSET
    reasons: list[str] | UnsetType = UNSET


class GenerationReport(Report, frozen=True, kw_only=True):
    """A generation of a tenant that is not active."""

    generation: int
    events: int


class Finalize(Report, frozen=True, kw_only=True, omit_defaults=False):
    """The dropping of a tenant's old generations, carried out or rehearsed."""

    ok: bool
    tenant_id: str
    outcome: Literal["dropped", "nothing", "rehearsed", "refused", "failed"]
    mutated: bool
    exit_code: int
    run_id: str | UnsetType = UNSET
    active_generation: int | None
    generations: list[GenerationReport]
    rows_removed: int
    error: dict[str, object] | UnsetType = UNSET


class Finalizes(Report, frozen=True, kw_only=True, omit_defaults=False):
    """The dropping of old generations of several tenants, each by itself."""

    ok: bool
    executed: bool
    exit_code: int
    rows_removed: int
    not_begun: list[str]
    tenants: list[Finalize]


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
