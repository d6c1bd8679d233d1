"""Recovery of what runs that died have left behind, and taking over one that is known to be dead."""

from __future__ import annotations

from typing import Any

import pytest

from cicsc.errors import FenceError, StoreError, UsageError
from cicsc.operations.live.recovery import recover_tenants
from cicsc.store.protocol import Store
from cicsc.store.records import Run
from cicsc.store.runs import Runs
from conformance.operations.dying import fenced, planned, switched, wait_for_lease
from conformance.store.desk import Plain
from conformance.store.history import INSERT
from e2e.live import orders


def empty(store: Store, tenant: str = "empty") -> str:
    store.create_tenant(tenant, bundle_digest=store.gate("acme").active_bundle, version=0, actor_id="ann")
    return tenant


def test_nothing_to_do_is_ok(store: Store) -> None:
    report = recover_tenants(store, operator="ann")

    assert (report.ok, report.exit_code, report.tenants) == (True, 0, [])


def test_a_pause_by_hand_is_nothing_to_recover(store: Store) -> None:
    store.pause("acme", owner="ann", seconds=60)

    assert recover_tenants(store, operator="ann").tenants == []
    assert store.gate("acme").is_paused


def test_a_run_that_died_before_its_switch_is_undone(store: Store) -> None:
    run = fenced(store, "acme", lease_s=0.05)
    wait_for_lease(store, run)

    (found,) = recover_tenants(store, operator="ann").tenants

    assert (found.tenant_id, found.run_id, found.found_phase, found.outcome) == (
        "acme",
        run.run_id,
        "FENCED",
        "reopened",
    )
    assert (found.resumed_by, found.boundaries.resumed_at) == ("lease", run.lease_until_ms)
    gate = store.gate("acme")
    assert (gate.state, gate.owner, gate.active_version, gate.staging_generation) == ("open", None, 0, None)


def test_a_run_that_died_after_its_switch_is_completed(store: Store) -> None:
    run = switched(store, empty(store), lease_s=0.05)
    wait_for_lease(store, run)

    (found,) = recover_tenants(store, operator="ann").tenants

    assert (found.found_phase, found.outcome) == ("SWITCHED", "finished")
    assert (store.gate("empty").owner, store.gate("empty").active_version) == (None, 1)
    assert store.runs.run("empty", run.run_id).phase == "DONE"


def test_twice_is_as_once(store: Store) -> None:
    wait_for_lease(store, fenced(store, "acme", lease_s=0.05))
    recover_tenants(store, operator="ann")
    before = store.gate("acme")

    assert recover_tenants(store, operator="ann").tenants == []
    assert store.gate("acme").epoch == before.epoch


def test_a_run_that_may_live_is_held_with_all_that_a_take_over_needs(store: Store) -> None:
    run = fenced(store, "acme")

    report = recover_tenants(store, operator="ann")

    assert (report.ok, report.exit_code, report.error["code"]) == (False, 1, "RUN_HELD")
    (held,) = report.tenants
    assert (held.outcome, held.run_id, held.epoch, held.actor_id) == ("held", run.run_id, run.epoch, "bob")
    assert (held.started_at, held.lease_until) == (run.started_ms, run.lease_until_ms)
    assert f"--take-over {run.run_id} {run.epoch}" in held.error["hint"]
    assert store.gate("acme").is_paused


def test_one_that_is_held_stops_no_other(store: Store) -> None:
    planned(store, "acme")
    wait_for_lease(store, fenced(store, "bmart", lease_s=0.05))

    report = recover_tenants(store, operator="ann")

    assert [(item.tenant_id, item.outcome) for item in report.tenants] == [("acme", "held"), ("bmart", "reopened")]
    assert report.exit_code == 1


def test_one_that_another_recovers_meanwhile_stops_no_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for tenant in ("acme", "bmart"):
        wait_for_lease(store, planned(store, tenant, lease_s=0.05))
    claim = Runs.claim

    def claim_second(runs: Runs[Any], tenant_id: str, run_id: str, **more: Any) -> Run:
        if more["actor_id"] == "ann":
            recover_tenants(store, [tenant_id], operator="bea")
        return claim(runs, tenant_id, run_id, **more)

    monkeypatch.setattr(Runs, "claim", claim_second)

    report = recover_tenants(store, operator="ann")

    assert (report.ok, report.tenants) == (True, [])
    assert [gate.owner for gate in store.gates()] == [None] * 3


def test_what_says_nothing_of_the_run_is_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_lease(store, planned(store, "acme", lease_s=0.05))

    def full(*_: object, **__: object) -> None:
        raise StoreError("STORE_FULL", "no room")

    monkeypatch.setattr(Runs, "claim", full)

    with pytest.raises(StoreError, match="no room"):
        recover_tenants(store, operator="ann")


def test_unknown_tenant_is_told_before_any_is_touched(store: Store) -> None:
    wait_for_lease(store, fenced(store, "acme", lease_s=0.05))

    with pytest.raises(UsageError, match="there is no tenant 'acmee' in the store, did you mean 'acme'") as caught:
        recover_tenants(store, ["acme", "acmee"], operator="ann")

    assert (caught.value.code, store.runs.holder("acme").phase) == ("UNKNOWN_TENANT", "FENCED")


def test_take_over_opens_at_once(store: Store) -> None:
    run = fenced(store, "acme")

    report = recover_tenants(store, ["acme"], operator="ann", take_over=(run.run_id, run.epoch))

    assert [(item.outcome, item.resumed_by) for item in report.tenants] == [("reopened", "take-over")]
    store.append("acme", orders("acme", 3)[-3:], generation=1)
    with pytest.raises(FenceError) as caught:
        store.runs.verified(run, head_digest="0" * 64, target_count=0, target_digest="0" * 64)
    assert caught.value.code == "RUN_LOST"


def test_a_dead_run_behind_a_writer_is_not_said_to_live(store: Store, plain: Plain) -> None:
    wait_for_lease(store, fenced(store, "acme", lease_s=0.05))
    plain.begin()
    plain.execute(INSERT, "acme", 1, "Order", "new", 1, "placed", '{"total": 3}', 1, "plain")

    report = recover_tenants(store, operator="ann")

    assert (report.ok, report.exit_code, report.error["code"]) == (False, 3, "STORE_LOCKED")
    assert report.error["message"].startswith("1 of 1 runs could not be brought to an end")
    assert [(item.outcome, item.error["code"], item.is_locked) for item in report.tenants] == [
        ("held", "STORE_LOCKED", True)
    ]
    plain.rollback()
    assert [item.outcome for item in recover_tenants(store, operator="ann").tenants] == ["reopened"]


@pytest.mark.parametrize("by", [-1, 1])
def test_take_over_with_another_epoch_changes_nothing(store: Store, by: int) -> None:
    run = fenced(store, "acme")

    report = recover_tenants(store, ["acme"], operator="ann", take_over=(run.run_id, run.epoch + by))

    assert [(item.outcome, item.error["code"]) for item in report.tenants] == [("held", "RUN_LOST")]
    assert store.gate("acme").epoch == run.epoch


def test_take_over_of_a_run_that_has_ended_is_told(store: Store) -> None:
    run = fenced(store, "acme")
    recover_tenants(store, ["acme"], operator="ann", take_over=(run.run_id, run.epoch))

    with pytest.raises(FenceError, match="it has ended"):
        recover_tenants(store, ["acme"], operator="ann", take_over=(run.run_id, run.epoch))


@pytest.mark.parametrize("tenants", [[], ["acme", "bmart"]])
def test_take_over_needs_its_tenant(store: Store, tenants: list[str]) -> None:
    with pytest.raises(UsageError, match="expected one"):
        recover_tenants(store, tenants, operator="ann", take_over=("0" * 32, 1))
