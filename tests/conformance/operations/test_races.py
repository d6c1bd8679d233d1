"""Two operators on one tenant: what one has planned is not carried out on what the other has made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import cicsc
from cicsc.errors import FenceError, RefusedError
from cicsc.operations import import_history
from cicsc.operations.live.cutover import Order, TenantCutover, cut_over
from cicsc.operations.live.recovery import recover_tenant
from cicsc.operations.live.run import LiveRun, Timing
from cicsc.store.base import SqlStore
from cicsc.store.protocol import Store
from cicsc.store.records import Gate
from conformance.operations.application import MAPPED, add
from conformance.store.desk import Desk
from conformance.store.history import event

TIMING = Timing(lease_s=60, max_pause_s=60)
ORDER = Order(target=MAPPED, migration="to_2", operator="ann", execute=True, timing=TIMING)


@pytest.fixture
def live(desk: Desk) -> Iterator[Store]:
    """A store with a tenant whose events are all known to both versions, so that nothing but the look tells them apart."""
    with desk.initialised() as store:
        add(store, "t", events=[event("1", 1), event("2", 1)])
        yield store


def test_tenant_that_was_moved_since_the_look_is_not_migrated_again(live: Store) -> None:
    late = TenantCutover(live, "t", ORDER)
    late.look()
    assert cut_over(live, "t", ORDER).ok

    with pytest.raises(RefusedError, match="was moved from version 1 to version 2") as caught:
        late.execute()
    late.record_end("{}")

    assert caught.value.code == "TENANT_MOVED"
    gate = live.gate("t")
    assert (gate.active_version, gate.active_generation, gate.owner) == (2, 2, None)


def test_import_whose_tenant_is_cut_over_before_its_snapshots_are_made(live: Store, monkeypatch: Any) -> None:
    write = import_history._write

    def write_and_move(*given: Any) -> None:
        write(*given)
        assert cut_over(live, "t", ORDER).ok

    monkeypatch.setattr(import_history, "_write", write_and_move)
    report = cicsc.import_history(live, [event("3", 1)], actor_id="bob")

    assert (report.ok, report.tenants[0].outcome, report.tenants[0].snapshots) == (True, "imported", 0)
    with live.reading("t") as reading:
        assert [snapshot.entity_id for snapshot in reading.snapshots()] == ["1", "2", "3"]


@pytest.mark.parametrize("comes_to_switch", [True, False], ids=["after a switch that was refused", "at once"])
def test_run_that_was_taken_over_leaves_the_cleaning_up_to_who_took_it(live: Store, comes_to_switch: bool) -> None:
    change = TenantCutover(live, "t", ORDER)
    change.look()
    change._live = LiveRun.begin(live, "t", change.run_plan(), TIMING, run_id=change._run_id)
    for step in TenantCutover.steps[:-1]:
        step(change)
    taken = live.runs.claim("t", change.live.run.run_id, lease_s=60, actor_id="eve", epoch=change.live.run.epoch)
    if comes_to_switch:
        with pytest.raises(FenceError):
            change.live.switch()

    change.live.end("refused")
    change.record_end('{"of": "who lost it"}')

    assert live.gate("t").owner == taken.run_id
    assert live.runs.run("t", taken.run_id) == taken
    assert recover_tenant(live, "t", actor_id="eve", take_over=(taken.run_id, taken.epoch)) is not None
    assert live.gate("t").owner is None


class _SignalledCutover(TenantCutover):
    """A signal comes when the tenant has been taken, and before the change has noted that."""

    def _begin(self) -> LiveRun:
        super()._begin()
        raise KeyboardInterrupt


def test_signal_right_after_the_begin_gives_the_tenant_back(live: Store) -> None:
    change = _SignalledCutover(live, "t", ORDER)

    with pytest.raises(KeyboardInterrupt):
        change.carry_out()

    *_, run = live.runs.of_tenant("t")
    assert (run.phase, run.reason) == ("ABORTED", "INTERRUPTED: a signal came")
    assert live.gate("t").owner is None
    assert cut_over(live, "t", ORDER).ok


class _InterruptedCutover(TenantCutover):
    """A signal comes when all is done, on the way back to who reports it."""

    def _carry_out(self) -> None:
        super()._carry_out()
        raise KeyboardInterrupt


def test_signal_right_after_the_end_is_told_beside_what_was_done(live: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicsc.operations.live.cutover.TenantCutover", _InterruptedCutover)

    report = cut_over(live, "t", ORDER)

    assert (report.ok, report.outcome, report.mutated, report.interrupted) == (True, "switched", True, True)
    assert (live.gate("t").active_version, live.gate("t").owner) == (2, None)


def test_signal_while_the_tenant_is_looked_at_for_the_report(
    live: SqlStore[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it breaks off is given up before the end is recorded."""
    gate = live.gate

    def broken_off(tenant_id: str) -> Gate:
        found = gate(tenant_id)
        if found.active_version == 2:
            live.asking()._connection.execute("begin")
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patched:
        patched.setattr(live, "gate", broken_off)
        report = cut_over(live, "t", ORDER)

    assert (report.ok, report.outcome, report.active_version) == (True, "switched", None)
    assert (live.gate("t").active_version, live.gate("t").owner) == (2, None)
