"""Who has a tenant: beginning beside others, leases and their deadline, giving up, taking over, operators."""

from __future__ import annotations

import pytest

from cicsc.errors import FenceError, UsageError
from cicsc.store.journal import exhaust
from cicsc.store.protocol import Store
from cicsc.store.records import Phase
from conformance.store.desk import Desk, Plain
from conformance.store.history import add_tenant, append, event, stored
from conformance.store.running import (
    LEASE_S,
    PLAN,
    begin,
    code_of,
    cut_over,
    dump,
    fence,
    outlive,
    run_in,
)
from conformance.store.test_pause import lapse

LIVING: tuple[Phase, ...] = ("PLANNED", "FENCED", "VERIFIED", "STAGED", "SWITCHED", "ABORTED")
BEFORE_SWITCH: tuple[Phase, ...] = ("PLANNED", "FENCED", "VERIFIED", "STAGED")


@pytest.fixture(autouse=True)
def history(store: Store) -> None:
    append(store, event(seq=1), event(seq=2, event_type="paid"))


# -------------------------------------------------------------------------------------- beside another


def test_run_that_was_too_slow_is_told_apart_from_one_that_was_taken_over(store: Store) -> None:
    run = run_in(store, "FENCED", lease_s=0.02)
    outlive(store, run)

    with pytest.raises(FenceError) as late:
        store.runs.keep(run, lease_s=60)
    store.runs.claim("t", run.run_id, lease_s=60, actor_id="bob")
    with pytest.raises(FenceError) as taken:
        store.runs.keep(run, lease_s=60)

    assert (late.value.code, taken.value.code) == ("LEASE_OVER", "RUN_LOST")
    assert ["--lease" in str(caught.value.hint) for caught in (late, taken)] == [True, False]


@pytest.mark.parametrize("phase", LIVING)
def test_second_run_is_told_who_has_the_tenant(desk: Desk, store: Store, plain: Plain, phase: Phase) -> None:
    run = run_in(store, phase)
    before = dump(plain)

    with desk.open() as other, pytest.raises(FenceError) as caught:
        other.runs.begin("t", "r2", PLAN, lease_s=60)

    assert caught.value.code == "RUN_HELD"
    assert f"cutover r1 of 'ann': epoch {run.epoch}, phase {phase}, since {run.started_ms}" in caught.value.message
    assert f"--take-over r1 {run.epoch}" in str(caught.value.hint)
    assert dump(plain) == before


@pytest.mark.parametrize("phase", LIVING)
def test_run_that_died_is_named(store: Store, plain: Plain, phase: Phase) -> None:
    run = run_in(store, phase, lease_s=0.02) if phase != "SWITCHED" else run_in(store, phase)
    if phase == "SWITCHED":
        run = store.runs.keep(run, lease_s=0.02)
    outlive(store, run)
    before = dump(plain)

    with pytest.raises(FenceError, match=f"left by cutover r1 of 'ann' in phase {phase}") as caught:
        store.runs.begin("t", "r2", PLAN, lease_s=60)

    assert caught.value.code == "RUN_ABANDONED"
    assert dump(plain) == before


def test_run_on_a_tenant_that_an_operator_paused_is_refused(store: Store) -> None:
    store.pause("t", owner="ann", seconds=60)

    assert code_of(lambda: begin(store)) == "GATE_HELD"

    assert store.gate("t").is_paused
    assert store.runs.of_tenant("t") == []


def test_pause_of_an_operator_that_ran_out_is_in_nobodys_way(store: Store) -> None:
    epoch = store.pause("t", owner="ann", seconds=0.02, max_seconds=60).epoch
    lapse(store)

    run = begin(store)

    gate = store.gate("t")
    assert (gate.state, gate.owner, gate.epoch, gate.lease_until_ms) == ("open", "r1", epoch + 1, None)
    assert run.epoch == epoch + 1
    assert code_of(lambda: store.resume("t", owner="ann", epoch=epoch)) == "GATE_LOST"


def test_runs_of_the_past_are_in_no_operators_way(store: Store) -> None:
    cut_over(store, "old")
    store.pause("t", owner="ann", seconds=0.02, max_seconds=60)
    lapse(store)

    gate = store.pause("t", owner="bob", seconds=5, max_seconds=60)
    renewed = store.renew("t", owner="bob", epoch=gate.epoch, seconds=30)
    assert renewed.lease_until_ms > gate.lease_until_ms
    assert store.resume("t", owner="bob", epoch=gate.epoch).owner is None

    store.pause("t", owner="ann", seconds=0.02, max_seconds=60)
    lapse(store)
    assert begin(store, "next").phase == "PLANNED"


@pytest.mark.parametrize("phase", ["PLANNED", "FENCED"])
def test_operator_who_would_pause_what_a_run_has_is_told_who_has_it(store: Store, phase: Phase) -> None:
    run = run_in(store, phase)

    with pytest.raises(FenceError, match=rf"taken by cutover {run.run_id} of 'ann': epoch {run.epoch}") as caught:
        store.pause("t", owner="bob", seconds=60)
    assert caught.value.code == "RUN_HELD"


@pytest.mark.parametrize("phase", ["PLANNED", "FENCED"])
def test_operator_who_would_pause_what_a_dead_run_has_is_told_what_ends_it(store: Store, phase: Phase) -> None:
    run = run_in(store, phase, lease_s=0.02)
    outlive(store, run)

    with pytest.raises(FenceError, match=rf"was left by cutover {run.run_id}") as caught:
        store.pause("t", owner="bob", seconds=60)
    assert (caught.value.code, caught.value.hint) == (
        "RUN_ABANDONED",
        "migration-recover --tenant t brings it to its end",
    )


@pytest.mark.parametrize("phase", ["FENCED", "STAGED"])
def test_operator_cannot_open_or_prolong_the_pause_of_a_run(store: Store, plain: Plain, phase: Phase) -> None:
    run = run_in(store, phase)
    before = dump(plain)

    assert code_of(lambda: store.resume("t", owner="r1", epoch=run.epoch)) == "GATE_LOST"
    assert code_of(lambda: store.renew("t", owner="r1", epoch=run.epoch, seconds=5)) == "GATE_LOST"

    assert dump(plain) == before


def test_operator_whose_name_is_that_of_an_old_run_elsewhere_may_resume(store: Store) -> None:
    add_tenant(store, "u")
    cut_over(store, "ann", "u")

    epoch = store.pause("t", owner="ann", seconds=60).epoch

    assert store.resume("t", owner="ann", epoch=epoch).state == "open"


def test_name_of_a_run_is_used_once(store: Store, plain: Plain) -> None:
    cut_over(store)
    before = dump(plain)

    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        store.runs.begin("t", "r1", PLAN, lease_s=60)

    assert dump(plain) == before


def test_unknown_tenant(store: Store) -> None:
    assert code_of(lambda: store.runs.begin("nobody", "r1", PLAN, lease_s=60)) == "UNKNOWN_TENANT"
    assert code_of(lambda: store.runs.claim("nobody", "r1", lease_s=60, actor_id="b")) == "UNKNOWN_TENANT"
    assert code_of(lambda: store.runs.run("t", "r1")) == "UNKNOWN_RUN"


# ------------------------------------------------------------------------------------------ the lease


def test_open_tenants_lease_is_renewed(store: Store) -> None:
    run = begin(store, lease_s=5)

    kept = store.runs.keep(run, lease_s=60)

    assert kept.lease_until_ms >= run.lease_until_ms + 50_000
    assert store.runs.run("t", "r1") == kept
    assert store.gate("t").lease_until_ms is None


def test_pause_is_renewed_with_the_run(store: Store) -> None:
    run = store.runs.fence(begin(store), lease_s=5, max_pause_s=90)

    kept = store.runs.keep(run, lease_s=30)

    assert kept.lease_until_ms >= run.lease_until_ms + 20_000
    assert store.gate("t").lease_until_ms == kept.lease_until_ms == store.runs.run("t", "r1").lease_until_ms


@pytest.mark.parametrize("phase", ["FENCED", "VERIFIED", "STAGED"])
def test_pause_is_never_renewed_beyond_its_deadline(store: Store, phase: Phase) -> None:
    run = run_in(store, phase)
    deadline = store.gate("t").pause_deadline_ms

    kept = store.runs.keep(run, lease_s=3600)

    assert kept.lease_until_ms == deadline == store.gate("t").lease_until_ms
    assert store.runs.keep(kept, lease_s=3600).lease_until_ms == deadline


def test_first_lease_is_no_longer_than_the_pause(store: Store) -> None:
    run = begin(store)

    with pytest.raises(UsageError) as caught:
        store.runs.fence(run, lease_s=60, max_pause_s=30)

    assert caught.value.code == "DURATION_INVALID"
    assert store.gate("t").state == "open"


def test_lease_that_ran_out_lets_writes_pass_and_stops_the_switch(store: Store) -> None:
    run = run_in(store, "STAGED", lease_s=0.02)
    outlive(store, run)

    append(store, event("2"))

    assert code_of(lambda: store.runs.switch(run)) == "LEASE_OVER"
    assert store.gate("t").active_generation == 1


# ------------------------------------------------------------------------------------------ giving up


@pytest.mark.parametrize("phase", BEFORE_SWITCH)
def test_abort_opens_the_tenant_as_it_was(store: Store, phase: Phase) -> None:
    before = stored(store)
    run = run_in(store, phase)

    aborted = store.runs.abort(run, reason="the disk is full", lease_s=30)

    gate = store.gate("t")
    assert (aborted.phase, aborted.reason, aborted.epoch) == ("ABORTED", "the disk is full", run.epoch + 1)
    assert (gate.state, gate.owner, gate.epoch, gate.lease_until_ms) == ("open", "r1", run.epoch + 1, None)
    assert (gate.active_version, gate.active_generation) == (3, 1)
    assert stored(store) == before
    append(store, event("2"))
    if phase == "PLANNED":
        assert (aborted.resumed_at_ms, aborted.resumed_by) == (None, None)
    else:
        assert (aborted.resumed_at_ms, aborted.resumed_by) == (aborted.ended_ms, "run")


def test_reports_of_aborted_runs_are_kept(store: Store) -> None:
    run = run_in(store, "ABORTED")

    exhaust(store.runs.sweep(run, lease_s=30, report='{"ok": false}'))

    ended = store.runs.run("t", "r1")
    assert (ended.phase, ended.report, store.runs.holder("t")) == ("ABORTED", '{"ok": false}', None)


# ---------------------------------------------------------------------------------------- taking over


@pytest.mark.parametrize("phase", LIVING)
def test_living_run_is_not_followed(store: Store, plain: Plain, phase: Phase) -> None:
    run_in(store, phase)
    before = dump(plain)

    assert code_of(lambda: store.runs.claim("t", "r1", lease_s=60, actor_id="bob")) == "RUN_HELD"

    assert dump(plain) == before


@pytest.mark.parametrize("phase", BEFORE_SWITCH)
def test_run_that_died_before_the_switch_is_undone(store: Store, phase: Phase) -> None:
    run = run_in(store, phase, lease_s=0.02)
    outlive(store, run)

    claimed = store.runs.claim("t", "r1", lease_s=60, actor_id="bob")

    gate = store.gate("t")
    assert (claimed.phase, claimed.epoch, gate.state, gate.active_generation) == ("ABORTED", run.epoch + 1, "open", 1)
    assert f"recovery by 'bob': the run was in phase {phase}" in str(claimed.reason)
    lapsed = (None, None) if phase == "PLANNED" else (run.lease_until_ms, "lease")
    assert (claimed.resumed_at_ms, claimed.resumed_by) == lapsed


@pytest.mark.parametrize("phase", BEFORE_SWITCH)
def test_living_run_is_taken_over_with_its_epoch(desk: Desk, store: Store, phase: Phase) -> None:
    run = run_in(store, phase)

    with desk.open() as other:
        claimed = other.runs.claim("t", "r1", lease_s=60, actor_id="bob", epoch=run.epoch)

    assert (claimed.phase, store.gate("t").state) == ("ABORTED", "open")
    assert claimed.resumed_by == (None if phase == "PLANNED" else "take-over")
    assert claimed.resumed_at_ms == (None if phase == "PLANNED" else claimed.ended_ms)
    last = list(store.audit("t"))[-1]
    assert (last.actor_id, last.action) == ("bob", "run-claim")
    assert last.detail == {"run": "r1", "found": phase, "epoch": run.epoch, "by": "take-over"}


def test_run_that_has_switched_is_left_to_be_finished(store: Store) -> None:
    run = run_in(store, "SWITCHED")

    claimed = store.runs.claim("t", "r1", lease_s=60, actor_id="bob", epoch=run.epoch)

    assert (claimed.phase, claimed.epoch, store.gate("t").active_generation) == ("SWITCHED", run.epoch + 1, 2)
    assert code_of(lambda: store.runs.finish(run, report="{}")) == "RUN_LOST"
    assert store.runs.finish(claimed, report="{}").phase == "DONE"


def test_run_that_was_given_up_is_left_to_be_cleaned_up(store: Store) -> None:
    run = run_in(store, "ABORTED")

    claimed = store.runs.claim("t", "r1", lease_s=60, actor_id="bob", epoch=run.epoch)
    exhaust(store.runs.sweep(claimed, lease_s=60))

    assert (claimed.phase, claimed.reason, store.runs.generations("t")) == ("ABORTED", "as ordered", [1])


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("phase", LIVING)
def test_take_over_needs_the_epoch(store: Store, plain: Plain, phase: Phase, by: int) -> None:
    epoch = run_in(store, phase).epoch + by
    before = dump(plain)

    assert code_of(lambda: store.runs.claim("t", "r1", lease_s=60, actor_id="bob", epoch=epoch)) == "RUN_LOST"

    assert dump(plain) == before


def test_of_two_who_take_over_one_does(desk: Desk, store: Store) -> None:
    epoch = run_in(store, "STAGED").epoch

    with desk.open() as other:
        other.runs.claim("t", "r1", lease_s=60, actor_id="bob", epoch=epoch)

    assert code_of(lambda: store.runs.claim("t", "r1", lease_s=60, actor_id="eve", epoch=epoch)) == "RUN_LOST"


@pytest.mark.parametrize("is_swept", [True, False])
def test_run_that_has_ended_cannot_be_taken_over(store: Store, is_swept: bool) -> None:
    run = run_in(store, "ABORTED" if is_swept else "DONE")
    if is_swept:
        exhaust(store.runs.sweep(run, lease_s=60))

    for epoch in (None, run.epoch):
        assert code_of(lambda at=epoch: store.runs.claim("t", "r1", lease_s=60, actor_id="b", epoch=at)) == "RUN_LOST"


def test_next_run_follows_one_that_was_cleaned_up(store: Store) -> None:
    run = run_in(store, "STAGED", lease_s=0.02)
    outlive(store, run)
    exhaust(store.runs.sweep(store.runs.claim("t", "r1", lease_s=60, actor_id="bob"), lease_s=LEASE_S))

    assert cut_over(store, "r2").phase == "DONE"
    assert fence(store, begin(store, "r3")).source_generation == 3
