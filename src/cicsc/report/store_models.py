"""The reports about stores and what is brought into them and out of them (docs/formats.md, Reports).

Times are milliseconds since the epoch, on the database's clock.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from cicsc.report.models import Report

ImportOutcome = Literal["imported", "already", "refused", "failed"]
"""imported: it is there now. already: it was, the same. refused: the verdict is no. failed: it could not be done."""


class FenceReport(Report, frozen=True, kw_only=True):
    """A fence that was installed anew: what was not as installed, and what of that still is not."""

    found: list[str]
    left: list[str]


class StoreReport(Report, frozen=True, kw_only=True):
    """A store that was created or upgraded; `changed` is false where there was nothing to do."""

    ok: bool
    changed: bool
    schema_version: int
    found_version: int | None = None
    fence: FenceReport | UnsetType = UNSET


class StoreFindingReport(Report, frozen=True, kw_only=True):
    """One thing wrong with a store, and with whose stream if it is about one."""

    code: str
    message: str
    tenant_id: str | UnsetType = UNSET
    entity_type: str | UnsetType = UNSET
    entity_id: str | UnsetType = UNSET


class StoreCheckReport(Report, frozen=True, kw_only=True):
    """What was looked at in a store; findings are listed up to a cap of each code, counts are exact."""

    ok: bool
    tenants: int
    events: int
    snapshots: int
    counts: dict[str, int]
    findings: list[StoreFindingReport]


class TenantReport(Report, frozen=True, kw_only=True):
    """A tenant: what is active, and whether writes are refused now, by whom and until when."""

    tenant_id: str
    active_version: int
    active_bundle: str
    active_generation: int
    tenant_paused: bool
    owner: str | UnsetType = UNSET
    lease_until: int | UnsetType = UNSET


class TenantCreated(Report, frozen=True, kw_only=True):
    """A tenant that was created."""

    ok: bool
    tenant: TenantReport


class TenantList(Report, frozen=True, kw_only=True):
    """The tenants of a store, in code-point order of their names."""

    ok: bool
    tenants: list[TenantReport]


class TenantImport(Report, frozen=True, kw_only=True):
    """What became of one tenant's history: of all of it, or of nothing.

    `snapshots` counts the entities that snapshots were made of, `digest` is that of the tenant's history.
    """

    tenant_id: str
    ok: bool
    outcome: ImportOutcome
    events: int
    snapshots: int
    generation: int | UnsetType = UNSET
    digest: str | UnsetType = UNSET
    findings: list[dict[str, object]] | UnsetType = UNSET
    counts: dict[str, int] | UnsetType = UNSET
    error: dict[str, object] | UnsetType = UNSET


class HistoryImport(Report, frozen=True, kw_only=True):
    """The import of a history, each tenant by itself; `digest` is that of what was read, null where that is malformed.

    `exit_code` is the highest of those of the tenants.
    """

    ok: bool
    events: int
    digest: str | None
    counts: dict[str, int]
    not_imported: list[str]
    exit_code: int
    tenants: list[TenantImport]
    error: dict[str, object] | UnsetType = UNSET


class TenantExport(Report, frozen=True, kw_only=True):
    """What was written of one tenant, and how far its generation reached."""

    tenant_id: str
    generation: int
    position: int
    events: int
    streams: int


class HistoryExport(Report, frozen=True, kw_only=True):
    """The export of histories into one file, which is there whole."""

    ok: bool
    events: int
    streams: int
    digest: str
    out_events: str
    tenants: list[TenantExport]
