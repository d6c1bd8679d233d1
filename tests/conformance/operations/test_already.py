"""A tenant that is where a cutover leads to is left alone, and only where the migration and the artifact are of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cicsc
from cicsc.operations.live.cutovers import cutover_pause_migrate_resume
from cicsc.report.live.models import Cutover
from cicsc.store.protocol import Store
from e2e.shop import diverging_target, source, target

EXECUTE = pytest.mark.parametrize("execute", [False, True])


def again(store: Store, to: dict[str, Any], migration: str, *, execute: bool, plan: Path | None = None) -> Cutover:
    report = cutover_pause_migrate_resume(store, ["acme"], to, migration, execute=execute, artifact=plan)
    return report.tenants[0]


def approved(store: Store, path: Path, to: dict[str, Any] | None = None, tenant_id: str = "acme") -> Path:
    cicsc.dry_run(None, to or target(), cicsc.StoreSource(store, [tenant_id]), "v0_to_v1", artifact=path)
    return path


@EXECUTE
def test_same_migration_and_artifact_is_a_repetition(store: Store, tmp_path: Path, execute: bool) -> None:
    plan = approved(store, tmp_path / "plan.json")
    assert again(store, target(), "v0_to_v1", execute=True, plan=plan).outcome == "switched"

    for artifact in (plan, None):
        report = again(store, target(), "v0_to_v1", execute=execute, plan=artifact)
        assert (report.outcome, report.exit_code, report.active_version) == ("already", 0, 1)


@EXECUTE
@pytest.mark.parametrize("migration", ["bogus", "v0_to_v1"])
def test_bundle_without_the_migration_is_refused(store: Store, migration: str, execute: bool) -> None:
    report = again(store, source(), migration, execute=execute)

    assert (report.outcome, report.exit_code, report.error["code"]) == ("refused", 1, "PREFLIGHT_FAILED")
    assert f"migration_exists failed: migration {migration!r} is not in the target bundle" in report.error["message"]
    assert (report.active_version, report.tenant_paused, report.mutated) == (0, False, False)


@EXECUTE
def test_migration_that_is_not_of_the_target_is_refused(store: Store, execute: bool) -> None:
    assert again(store, target(), "v0_to_v1", execute=True).ok

    assert again(store, target(), "bogus", execute=execute).error["code"] == "PREFLIGHT_FAILED"


@EXECUTE
def test_artifact_of_something_else_is_refused(store: Store, tmp_path: Path, execute: bool) -> None:
    plan = approved(store, tmp_path / "plan.json", diverging_target())
    assert again(store, target(), "v0_to_v1", execute=True).ok

    report = again(store, target(), "v0_to_v1", execute=execute, plan=plan)

    assert (report.outcome, report.error["code"], report.active_version) == ("refused", "ARTIFACT_DIFFERS", 1)
    assert "to_bundle_digest: approved" in report.error["message"]
    assert report.error["hint"].endswith("leave it out: the tenant is on the target already")


@EXECUTE
def test_tenant_that_was_there_before_needs_no_approval(store: Store, tmp_path: Path, execute: bool) -> None:
    plan = approved(store, tmp_path / "plan.json", tenant_id="bmart")
    assert again(store, target(), "v0_to_v1", execute=True).ok

    assert again(store, target(), "v0_to_v1", execute=execute, plan=plan).outcome == "already"
