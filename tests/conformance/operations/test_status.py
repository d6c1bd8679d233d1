"""How tenants stand: what the gate and the journal say, at one moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from cicsc.errors import FenceError, UsageError, WorkError
from cicsc.operations.live.cutovers import cutover_pause_migrate_resume
from cicsc.operations.live.status import ONE_BY_ONE_MAX, tenant_status
from cicsc.report.live.models import TenantStatus
from cicsc.store.protocol import Store
from conformance.operations.conftest import TENANTS
from conformance.operations.dying import fenced, planned, wait_for_lease
from e2e.live import orders, violate
from e2e.shop import target


def status(store: Store, tenant: str = "acme") -> TenantStatus:
    (found,) = tenant_status(store, [tenant]).tenants
    return found


def cutover(store: Store, tenant: str = "acme") -> None:
    cutover_pause_migrate_resume(store, [tenant], target(), "v0_to_v1", execute=True, operator="cleo")


def test_a_tenant_that_nothing_happened_to(store: Store) -> None:
    found, gate = status(store), store.gate("acme")

    assert (found.active_version, found.active_bundle, found.active_generation) == (0, gate.active_bundle, 1)
    assert (found.paused, found.owner, found.owner_kind, found.lease_until, found.run) == (
        False,
        None,
        None,
        None,
        None,
    )


def test_an_import_is_no_run_to_tell_once_it_is_over(store: Store) -> None:
    assert [run.kind for run in store.runs.of_tenant("acme")] == ["import"]
    assert status(store).run is None


def test_after_a_cutover(store: Store) -> None:
    cutover(store)

    found = status(store)
    assert (found.active_version, found.active_generation, found.owner, found.paused) == (1, 2, None, False)
    assert (found.run.outcome, found.run.phase, found.run.actor_id, found.run.has_tenant) == (
        "switched",
        "DONE",
        "cleo",
        False,
    )
    assert (found.run.migration_id, found.run.from_version, found.run.to_version) == ("v0_to_v1", 0, 1)
    boundaries = found.run.boundaries
    assert boundaries.paused_at <= boundaries.verified_at <= boundaries.switched_at == boundaries.resumed_at
    assert found.run.pause_ms == boundaries.resumed_at - boundaries.paused_at


def test_after_a_refused_cutover(store: Store) -> None:
    violate(store, "acme")
    cutover(store)

    found = status(store)
    assert (found.active_version, found.run.outcome, found.run.phase, found.run.pause_ms) == (
        0,
        "aborted",
        "ABORTED",
        None,
    )
    assert found.run.reason.startswith("PREFLIGHT_FAILED: ")


def test_while_a_run_has_the_tenant_open(store: Store) -> None:
    run = planned(store, "acme")

    found = status(store)
    assert (found.owner, found.owner_kind, found.paused, found.epoch) == (run.run_id, "run", False, run.epoch)
    assert (found.run.outcome, found.run.phase, found.run.has_tenant) == ("running", "PLANNED", True)
    assert (found.lease_until, 0 < found.lease_remaining_ms <= 60_000) == (run.lease_until_ms, True)


def test_while_a_run_has_the_tenant_paused(store: Store) -> None:
    run = fenced(store, "acme")

    found = status(store)
    assert (found.paused, found.paused_since, found.owner_kind) == (True, run.paused_at_ms, "run")
    assert 0 <= found.pause_ms < 60_000
    assert found.pause_deadline == run.paused_at_ms + 600_000
    assert (found.run.phase, found.staging_generation) == ("FENCED", run.target_generation)


def test_a_run_that_died(store: Store) -> None:
    wait_for_lease(store, fenced(store, "acme", lease_s=0.05))

    found = status(store)
    assert (found.paused, found.pause_ms, found.lease_remaining_ms) == (False, None, 0)
    assert (found.run.outcome, found.run.has_tenant) == ("abandoned", True)


def test_a_pause_by_hand(store: Store) -> None:
    before = store.gate("acme").clock_ms
    gate = store.pause("acme", owner="ann", seconds=60)

    found = status(store)
    assert (found.paused, found.owner, found.owner_kind, found.epoch) == (True, "ann", "operator", gate.epoch)
    assert before <= found.paused_since <= store.gate("acme").clock_ms
    assert (found.lease_until, found.pause_deadline) == (gate.lease_until_ms, gate.pause_deadline_ms)


def test_a_pause_by_hand_keeps_the_last_run_in_sight(store: Store) -> None:
    cutover(store)
    store.pause("acme", owner="ann", seconds=60)

    found = status(store)
    assert (found.owner_kind, found.run.outcome, found.run.has_tenant) == ("operator", "switched", False)


def test_all_tenants_by_default_and_the_named_ones_sorted(store: Store) -> None:
    assert [tenant.tenant_id for tenant in tenant_status(store).tenants] == list(TENANTS)
    assert [tenant.tenant_id for tenant in tenant_status(store, ["corner", "acme"]).tenants] == ["acme", "corner"]


@pytest.mark.parametrize("more", [0, ONE_BY_ONE_MAX])
def test_an_unknown_tenant_is_named(store: Store, more: int) -> None:
    names = ["acme", "nobody", *(f"tenant-{number}" for number in range(more))]
    for name in names[2:]:
        store.create_tenant(name, bundle_digest=store.gate("acme").active_bundle, version=0, actor_id="ann")

    with pytest.raises(FenceError, match="'nobody'") as caught:
        tenant_status(store, names)

    assert caught.value.code == "UNKNOWN_TENANT"
    assert len(tenant_status(store, [name for name in names if name != "nobody"]).tenants) == len(names) - 1


def test_metrics_are_written_whole(store: Store, tmp_path: Path) -> None:
    report = tenant_status(store, metrics_out=tmp_path / "new" / "cicsc.prom")

    text = (tmp_path / "new" / "cicsc.prom").read_text("utf-8")
    assert 'cicsc_tenant_version{tenant="acme"} 0\n' in text
    assert text.endswith(f"cicsc_status_timestamp_seconds {report.at / 1000}\n")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["cicsc.prom"]


def test_metrics_never_overwrite_the_store(store: Store) -> None:
    files = {**store.files}

    assert ("--store" in files) == (store.shared_url is None)
    for name, path in files.items():
        with pytest.raises(UsageError, match=f"--metrics-out would overwrite {name}: both are") as caught:
            tenant_status(store, metrics_out=path)
        assert caught.value.code == "OUTPUT_IS_INPUT"
    assert tenant_status(store).tenants


def test_metrics_that_cannot_be_written_are_an_error(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(WorkError):
        tenant_status(store, metrics_out=tmp_path / "file" / "cicsc.prom")


def test_thousands_of_tenants_take_a_handful_of_statements(store: Store) -> None:
    bundle = store.gate("acme").active_bundle
    for number in range(50):
        store.create_tenant(f"tenant-{number:04}", bundle_digest=bundle, version=0, actor_id="ann")
        store.append(f"tenant-{number:04}", orders(f"tenant-{number:04}", 1), generation=1)
    cutover(store, "tenant-0007")

    found = {tenant.tenant_id: tenant for tenant in tenant_status(store).tenants}
    assert len(found) == 53
    assert [name for name, tenant in found.items() if tenant.run is not None] == ["tenant-0007"]
