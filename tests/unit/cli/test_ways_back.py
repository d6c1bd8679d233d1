"""Rollback and finalize of a live tenant through the command line, and a command that needs a role."""

from __future__ import annotations

from pathlib import Path

import pytest

from cicsc.history.model import Event
from cicsc.store import open_store
from conformance.operations.dying import fenced, wait_for_lease
from e2e.live import CUTOVER, STORE, lay_out_store
from e2e.shop import event
from unit.cli.calling import Call

BACK = ("migration-rollback", "--store", STORE, "--tenant", "acme", "--migration", "v0_to_v1")


@pytest.fixture
def moved(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a store whose tenant 'acme' was cut over."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CICSC_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    url = lay_out_store(tmp_path, "acme")
    assert call(*CUTOVER, "--tenant", "acme", "--execute").code == 0
    return url


def test_rollback_is_rehearsed_then_carried_out(call: Call, moved: str) -> None:
    rehearsed, done = call(*BACK, "--summary", "always"), call(*BACK, "--execute", "--summary", "always")

    assert (rehearsed.code, rehearsed.report["outcome"], rehearsed.report["active_version"]) == (0, "rehearsed", 1)
    assert (done.code, done.report["method"], done.report["active_version"]) == (0, "reactivate", 0)
    assert "--execute" in rehearsed.err
    assert "back on version 0" in done.err


def test_rollback_takes_new_events_back_too(call: Call, moved: str) -> None:
    with open_store(moved) as store:
        new = Event(**event(1, "order_placed", {"total": 3}, tenant="acme", entity="new"))
        store.append("acme", [new], generation=2)

    done = call(*BACK, "--execute", "--summary", "always")

    assert (done.code, done.report["method"], done.report["rolled_back_events"]) == (0, "inverse", 7)
    assert "the inverse of the whole history is active: 7 events" in done.err


def test_rollback_that_is_unsafe_names_why(call: Call, moved: str) -> None:
    call("migration-rollback", "--store", STORE, "--tenant", "acme", "--migration", "v0_to_v1", "--execute")

    said = call(*BACK, "--execute", "--summary", "always")

    assert (said.code, said.report["reasons"]) == (1, ["migration 'v0_to_v1' is not in the tenant's active bundle"])
    assert "refused, 1 obstacle" in said.err


def test_rollback_that_was_done_before_names_who_did_it(call: Call, moved: str) -> None:
    done = call(*BACK, "--execute", "--operator", "ann").report

    again = call(*BACK, "--execute", "--summary", "always")

    hint = f"nothing was written; rollback {done['run_id']} of 'ann' has done it already, the tenant is on version 0"
    assert (again.code, again.error_code, again.report["error"]["hint"]) == (1, "ROLLBACK_UNSAFE", hint)
    assert again.err.splitlines()[-1] == f"next: {hint}"


def test_rollback_after_a_finalize_does_not_claim_that_something_was_written(call: Call, moved: str) -> None:
    assert call("migration-finalize", "--store", STORE, "--tenant", "acme", "--execute").code == 0

    said = call(*BACK, "--summary", "always")

    assert said.report["method"] == "inverse"
    assert "written since the switch, or the generation before it is not kept, so the inverse" in said.err


def test_too_long_a_pause_of_a_rollback_shows_the_call_that_allows_it(call: Call, moved: str) -> None:
    lines = call(*BACK, "--max-pause", "0.01", "--summary", "always").err.splitlines()

    assert lines[-2] == "next: allow a longer pause, at a time when it does no harm"
    assert lines[-1].endswith(" --tenant acme --max-pause 1")


def test_rollback_of_a_tenant_that_is_paused_by_hand_names_what_shows_its_end(call: Call, moved: str) -> None:
    with open_store(moved) as store:
        store.pause("acme", owner="ann", seconds=60)

    lines = call(*BACK, "--execute", "--summary", "always").err.splitlines()

    assert "  note     the tenant was not changed: it is on version 1, and paused" in lines
    assert lines[-1] == f"  cicsc migration-status --store {STORE} --tenant acme"


@pytest.mark.parametrize("execute", [(), ("--execute",)])
def test_way_back_that_another_run_is_in_names_how_to_follow_it(
    call: Call, moved: str, execute: tuple[str, ...]
) -> None:
    with open_store(moved) as store:
        fenced(store, "acme")
    lines = call(*BACK, *execute, "--summary", "always").err.splitlines()

    assert lines[0] == 'rollback of tenant "acme": refused'
    assert lines[-1] == f"  cicsc migration-recover --store {STORE} --tenant acme"


def test_rollback_that_followed_a_dead_run_tells_of_it(call: Call, moved: str) -> None:
    with open_store(moved) as store:
        run = fenced(store, "acme", lease_s=0.05)
        wait_for_lease(store, run)

    said = call(*BACK, "--execute", "--summary", "always")

    assert (said.code, said.report["recovered"]["outcome"]) == (0, "reopened")
    assert f"  note     cutover {run.run_id} had died in phase FENCED: reopened" in said.err.splitlines()


def test_finalize_is_rehearsed_then_carried_out(call: Call, moved: str) -> None:
    finalize = ("migration-finalize", "--store", STORE, "--all", "--summary", "always")
    rehearsed, done, again = call(*finalize), call(*finalize, "--execute"), call(*finalize, "--execute")

    assert [said.code for said in (rehearsed, done, again)] == [0, 0, 0]
    assert "may drop 1 old generation" in rehearsed.err
    assert "dropped 1 old generation" in done.err
    assert "nothing to drop" in again.err
    assert done.report["rows_removed"] > 0


def test_tenant_that_is_not_there(call: Call, moved: str) -> None:
    drop = call("migration-finalize", "--store", STORE, "--tenant", "nobody", "--tenant", "acme", "--summary", "always")

    assert (drop.code, [item["outcome"] for item in drop.report["tenants"]]) == (2, ["rehearsed", "refused"])
    assert drop.report["tenants"][1]["error"]["code"] == "UNKNOWN_TENANT"
    assert 'FAILED   "nobody": refused\n' in drop.err
    assert drop.err.endswith("next: tenant-list shows every tenant; tenant-create makes one\n")
