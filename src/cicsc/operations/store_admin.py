"""Looking after a store: creating it, bringing it up to date, looking it over; its tenants.

A store is named by its URL, or given open; one that was opened here is closed again on every path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from cicsc.bundle.load import load_bundle
from cicsc.errors import UsageError
from cicsc.operations.arguments import require_tenant
from cicsc.operations.stored import opened_store, wanted_tenants
from cicsc.report.store_models import (
    FenceReport,
    StoreCheckReport,
    StoreFindingReport,
    StoreReport,
    TenantCreated,
    TenantList,
    TenantReport,
)
from cicsc.store.check import check_store as look_over

if TYPE_CHECKING:
    from collections.abc import Collection

    from cicsc.bundle.model import Bundle
    from cicsc.operations.sources import BundleSource
    from cicsc.store.check import StoreFinding
    from cicsc.store.protocol import Store
    from cicsc.store.records import Gate


def initialise_store(store: str | Store) -> StoreReport:
    """Create what a store needs in an empty file or database; do nothing where it is there.

    Raises StoreError, with code STORE_FOREIGN where there is something else.
    """
    with opened_store(store) as opened:
        found = opened.schema_version()
        opened.initialise()
        return _schema(opened, found)


def upgrade_store(store: str | Store, *, reinstall_fence_as: str | None = None) -> StoreReport:
    """Bring the schema of a store to the version of this program; do nothing where it is.

    With `reinstall_fence_as`, the name of who does it, the fence is then installed anew where it is not as
    installed, and the audit says so. The report is not ok where some of what was wrong is still there. Raises
    StoreError: STORE_NOT_INITIALISED, STORE_TOO_NEW, or STORE_LOCKED where writes under way do not end.
    """
    with opened_store(store) as opened:
        found = opened.schema_version()
        opened.upgrade()
        if reinstall_fence_as is None:
            return _schema(opened, found)
        repair = opened.reinstall_fence(actor_id=reinstall_fence_as)
        return _schema(opened, found, FenceReport(found=list(repair.found), left=list(repair.left)))


def _schema(store: Store, found: int | None, fence: FenceReport | UnsetType = UNSET) -> StoreReport:
    version = store.schema_version()
    assert version is not None  # what was just installed
    return StoreReport(
        ok=fence is UNSET or not fence.left,
        changed=found != version or (fence is not UNSET and bool(fence.found)),
        schema_version=version,
        found_version=found,
        fence=fence,
    )


def check_store(store: str | Store, tenants: Collection[str] = ()) -> StoreCheckReport:
    """Look over the fence of a store and the active histories of some tenants, by default of all.

    What is wrong is a report with ok false. Raises UsageError for a tenant that the store lacks.
    """
    with opened_store(store) as opened:
        check = look_over(opened, wanted_tenants(opened, tenants) if tenants else ())
    return StoreCheckReport(
        ok=check.ok,
        tenants=check.tenants,
        events=check.events,
        snapshots=check.snapshots,
        counts=dict(sorted(check.counts.items())),
        findings=list(map(_finding, check.findings)),
    )


def _finding(finding: StoreFinding) -> StoreFindingReport:
    return StoreFindingReport(
        code=finding.code,
        message=finding.message,
        tenant_id=UNSET if finding.tenant_id is None else finding.tenant_id,
        entity_type=UNSET if finding.entity_type is None else finding.entity_type,
        entity_id=UNSET if finding.entity_id is None else finding.entity_id,
    )


def create_tenant(
    store: str | Store, tenant_id: str, bundle: BundleSource, *, actor_id: str, version: int | None = None
) -> TenantCreated:
    """Create a tenant, open and with an empty history, on a bundle, which the store keeps.

    `version` is the application's where the bundle names no bundle_version. Raises BundleError,
    UsageError for a name that is none or where the version is missing or differs, and FenceError TENANT_EXISTS.
    """
    require_tenant(tenant_id)
    if not tenant_id:  # no command could name it
        raise UsageError("INVALID_VALUE", "tenant is no name: expected at least one character, found none")
    loaded = load_bundle(bundle)
    number = _version(loaded, version)
    with opened_store(store) as opened:
        opened.put_bundle(loaded)
        gate = opened.create_tenant(tenant_id, bundle_digest=loaded.digest, version=number, actor_id=actor_id)
        return TenantCreated(ok=True, tenant=tenant_report(gate))


def _version(bundle: Bundle, version: int | None) -> int:
    if version is None and bundle.version is None:
        raise UsageError(
            "MISSING_FLAG",
            "the version is not known: the bundle has no bundle_version",
            hint="give the version of the application with --version",
        )
    if version is not None and bundle.version not in {None, version}:
        raise UsageError(
            "VERSION_DIFFERS",
            f"the bundle is version {bundle.version}, found --version {version}",
            hint="leave --version out, or give the bundle of that version",
        )
    number = bundle.version if version is None else version
    assert number is not None
    return number


def list_tenants(store: str | Store) -> TenantList:
    """List the tenants of a store: what is active for each, and who has paused it.

    Moments are in ms since the epoch. Raises StoreError for a store that cannot be used.
    """
    with opened_store(store) as opened:
        return TenantList(ok=True, tenants=[tenant_report(gate) for gate in opened.gates()])


def tenant_report(gate: Gate) -> TenantReport:
    """Report a tenant as its gate says."""
    return TenantReport(
        tenant_id=gate.tenant_id,
        active_version=gate.active_version,
        active_bundle=gate.active_bundle,
        active_generation=gate.active_generation,
        tenant_paused=gate.is_paused,
        owner=UNSET if gate.owner is None else gate.owner,
        lease_until=UNSET if gate.lease_until_ms is None else gate.lease_until_ms,
    )
