"""The fence while runs come and go, against programs that write by plain SQL.

What holds: nobody changes or removes what is active, ever. What a run stages is written and removed by who names the run
and its epoch; so who knows both can spoil what is staged. The run reads back what it wrote, and the switch counts. The
same goes for an old generation: who names the run that has the tenant may remove it, as a finalize does.
"""

from __future__ import annotations

import pytest

from cicsc.errors import FenceError
from cicsc.history.model import Event
from cicsc.store.journal import exhaust
from cicsc.store.protocol import Store
from cicsc.store.records import Phase, Run
from conformance.store.desk import Desk, Plain, RefusedError
from conformance.store.history import INSERT, add_tenant, append, columns, digest, event, stored
from conformance.store.running import PHASES, code_of, cut_over, dump, run_in
from conformance.store.test_fence import CHANGES, insert_refusal, refusal

DELETE = "delete from {event} where tenant_id = 't' and generation = ?"

PAUSED: tuple[Phase, ...] = ("FENCED", "VERIFIED", "STAGED")


@pytest.fixture(autouse=True)
def history(store: Store) -> None:
    append(store, event(seq=1), event(seq=2, event_type="paid"))


def owner_refusal(
    desk: Desk, plain: Plain, run: Run, generation: int, statement: str, *parameters: object, by: int = 0
) -> str:
    """The code with which a statement is refused to who names a run and, but for `by`, its epoch."""
    owner = desk.as_owner(plain, "t", generation, owner=run.run_id, epoch=run.epoch + by)
    with pytest.raises(RefusedError) as caught, owner:
        plain.execute(statement, *parameters)
    return caught.value.code


# --------------------------------------------------------------------------------------------- staging


@pytest.mark.parametrize("phase", PAUSED)
def test_staging_is_closed_to_who_is_not_the_run(store: Store, plain: Plain, phase: Phase) -> None:
    run_in(store, phase)
    before = dump(plain)

    assert insert_refusal(plain, event("9"), 2) == "TENANT_PAUSED"
    assert refusal(plain, DELETE, 2) == "HISTORY_IMMUTABLE"
    assert code_of(lambda: append(store, event("9"), generation=2)) == "TENANT_PAUSED"

    assert dump(plain) == before


def test_staging_of_a_run_that_was_given_up_is_closed_too(store: Store, plain: Plain) -> None:
    run_in(store, "ABORTED")

    assert insert_refusal(plain, event("9"), 2) == "STALE_GENERATION"
    assert refusal(plain, DELETE, 2) == "HISTORY_IMMUTABLE"


def test_pause_that_ran_out_does_not_open_the_staging(store: Store, plain: Plain) -> None:
    run_in(store, "STAGED")
    plain.execute("update {gate} set lease_until_ms = 0 where tenant_id = 't'")

    assert insert_refusal(plain, event("9"), 2) == "STALE_GENERATION"


@pytest.mark.parametrize("by", [-2, -1, 1, 1_000])
def test_guessed_epoch_does_not_open_the_staging(desk: Desk, store: Store, plain: Plain, by: int) -> None:
    run = run_in(store, "STAGED")
    before = dump(plain)

    for statement, *parameters in ((INSERT, *columns(event("9"), 2)), (DELETE, 2)):
        assert owner_refusal(desk, plain, run, 2, statement, *parameters, by=by) in {
            "TENANT_PAUSED",
            "HISTORY_IMMUTABLE",
        }

    assert dump(plain) == before


def test_who_was_taken_over_cannot_write_by_hand(desk: Desk, store: Store, plain: Plain) -> None:
    run = run_in(store, "STAGED")
    store.runs.claim("t", "r1", lease_s=60, actor_id="bob", epoch=run.epoch)

    assert owner_refusal(desk, plain, run, 2, INSERT, *columns(event("9"), 2)) == "STALE_GENERATION"
    assert owner_refusal(desk, plain, run, 2, DELETE, 2) == "HISTORY_IMMUTABLE"


def test_forged_event_in_the_staging_stops_the_switch(desk: Desk, store: Store, plain: Plain) -> None:
    run = run_in(store, "STAGED")

    with desk.as_owner(plain, "t", 2, owner="r1", epoch=run.epoch):
        plain.execute(INSERT, *columns(event("9"), 2))

    assert code_of(lambda: store.runs.switch(run)) == "STAGING_DIFFERS"


def test_event_removed_from_the_staging_stops_the_switch(desk: Desk, store: Store, plain: Plain) -> None:
    run = run_in(store, "STAGED")

    with desk.as_owner(plain, "t", 2, owner="r1", epoch=run.epoch):
        plain.execute(DELETE + " and seq = 2", 2)

    assert code_of(lambda: store.runs.switch(run)) == "STAGING_DIFFERS"


def test_staged_event_is_not_changed_by_its_run_either(desk: Desk, store: Store, plain: Plain) -> None:
    run = run_in(store, "STAGED")

    statement = "update {event} set payload = '{}' where generation = 2"
    assert owner_refusal(desk, plain, run, 2, statement) == "HISTORY_IMMUTABLE"


# --------------------------------------------------------------------------- what is active, what is old


@pytest.mark.parametrize("phase", PHASES)
def test_who_names_the_run_cannot_remove_what_is_active(desk: Desk, store: Store, plain: Plain, phase: Phase) -> None:
    run = run_in(store, phase)
    before = dump(plain)
    active = store.gate("t").active_generation

    for unlocked in (1, 2):
        with pytest.raises(RefusedError), desk.as_owner(plain, "t", unlocked, owner=run.run_id, epoch=run.epoch):
            plain.execute(DELETE, active)

    assert dump(plain) == before


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("statement", CHANGES)
def test_nobody_changes_events_beside_a_run(store: Store, plain: Plain, phase: Phase, statement: str) -> None:
    run_in(store, phase)
    before = dump(plain)

    assert refusal(plain, statement) == "HISTORY_IMMUTABLE"

    assert dump(plain) == before


@pytest.mark.parametrize("phase", ["STAGED", "SWITCHED", "DONE"])
def test_what_the_kind_of_store_offers_does_not_change_events(
    desk: Desk, store: Store, plain: Plain, phase: Phase
) -> None:
    run_in(store, phase)
    before = dump(plain)
    codes = {"HISTORY_IMMUTABLE", "WRONG_SEQ", "TENANT_PAUSED", "STALE_GENERATION"}

    for statements in ((), *desk.switches):
        for statement in statements:
            plain.execute(statement)
        for statement in desk.bypasses:
            assert refusal(plain, statement) in codes
        for generation in (1, 2):
            assert insert_refusal(plain, event("9", seq=7), generation) in codes

    assert dump(plain) == before


def test_old_generation_is_not_removed_without_a_run(desk: Desk, store: Store, plain: Plain) -> None:
    run = cut_over(store)

    assert refusal(plain, DELETE, 1) == "HISTORY_IMMUTABLE"
    assert owner_refusal(desk, plain, run, 1, DELETE, 1) == "HISTORY_IMMUTABLE"
    assert len(stored(store, generation=1)) == 2


def test_old_generation_may_be_removed_by_who_has_the_tenant(desk: Desk, store: Store, plain: Plain) -> None:
    cut_over(store)
    active = digest(store.streams("t"))
    run = run_in(store, "PLANNED", "r2")

    with desk.as_owner(plain, "t", 1, owner="r2", epoch=run.epoch):
        plain.execute(DELETE, 1)

    assert (stored(store, generation=1), digest(store.streams("t"))) == ([], active)


def test_run_of_one_tenant_cannot_remove_what_is_anothers(desk: Desk, store: Store, plain: Plain) -> None:
    add_tenant(store, "u")
    append(store, event(tenant_id="u"))
    cut_over(store, "r0", "u")
    run = run_in(store, "STAGED")

    for generation in (1, 2):
        statement = "delete from {event} where tenant_id = 'u' and generation = ?"
        assert owner_refusal(desk, plain, run, 2, statement, generation) == "HISTORY_IMMUTABLE"
    assert [len(stored(store, "u", generation)) for generation in (1, 2)] == [1, 1]


# --------------------------------------------------------------------------------------- old programs


def carry_out(store: Store, *written: Event) -> None:
    """Write as the runtime does, which keeps to no generation."""
    with store.transaction("t") as transaction:
        transaction.put_receipt("c1", {})
        transaction.append(written)


@pytest.mark.parametrize("phase", ["SWITCHED", "DONE"])
def test_old_program_that_goes_on_after_the_switch(store: Store, plain: Plain, phase: Phase) -> None:
    run_in(store, phase)
    before = dump(plain)
    old = event(seq=3, event_type="paid")

    assert insert_refusal(plain, old, 1) == "STALE_GENERATION"
    assert insert_refusal(plain, old, 2) == "UNKNOWN_EVENT_TYPE"
    assert code_of(lambda: append(store, old)) == "STALE_GENERATION"
    assert code_of(lambda: append(store, old, generation=2)) == "UNKNOWN_EVENT_TYPE"
    assert code_of(lambda: carry_out(store, old)) == "UNKNOWN_EVENT_TYPE"
    assert code_of(lambda: store.import_events("t", [old], generation=1, actor_id="ann")) == "STALE_GENERATION"

    assert dump(plain)["event"] == before["event"]
    assert dump(plain)["command"] == before["command"]


def test_new_program_that_comes_before_the_switch(store: Store, plain: Plain) -> None:
    run_in(store, "PLANNED")

    assert insert_refusal(plain, event(seq=3, event_type="settled"), 1) == "UNKNOWN_EVENT_TYPE"
    assert insert_refusal(plain, event(seq=3, event_type="settled"), 2) == "STALE_GENERATION"


def test_transaction_that_began_before_the_switch_is_refused(desk: Desk, store: Store, plain: Plain) -> None:
    run = run_in(store, "STAGED")
    if desk.one_writer:  # who is in keeps the switch waiting, so nobody can have begun
        plain.begin()
        plain.rollback()
    else:
        plain.begin()
        plain.execute("select * from {gate}")
    store.runs.switch(run)

    assert insert_refusal(plain, event(seq=3), 1) == "STALE_GENERATION"


# ---------------------------------------------------------------------------------- a gate left unlocked


def test_gate_that_is_left_unlocked_is_named_and_stops_the_switch(desk: Desk, store: Store, plain: Plain) -> None:
    if not desk.one_writer:
        return  # who owns the gate says so in its transaction, and nothing is left of it
    run = run_in(store, "STAGED")
    plain.execute("update {gate} set unlocked_generation = 2 where tenant_id = 't'")

    with pytest.raises(FenceError, match="left unlocked for generation 2") as caught:
        store.runs.switch(run)

    assert caught.value.code == "FENCE_CHANGED"
    aborted = store.runs.abort(run, reason="tampered with", lease_s=60)
    exhaust(store.runs.sweep(aborted, lease_s=60))
    assert store.fence_faults() == ()


def test_gate_that_is_left_unlocked_is_locked_with_a_new_fence(desk: Desk, store: Store, plain: Plain) -> None:
    if not desk.one_writer:
        return
    run = run_in(store, "STAGED")
    plain.execute("update {gate} set unlocked_generation = 2 where tenant_id = 't'")

    repair = store.reinstall_fence(actor_id="ann")

    assert (len(repair.found), repair.left) == (1, ())
    store.runs.switch(run)


def test_gate_is_never_unlocked_for_what_is_active(desk: Desk, store: Store, plain: Plain) -> None:
    if not desk.one_writer:
        return
    cut_over(store)

    with pytest.raises(RefusedError):
        plain.execute("update {gate} set unlocked_generation = active_generation")

    assert refusal(plain, DELETE, 2) == "HISTORY_IMMUTABLE"


def test_unlocked_gate_lets_nobody_write_into_an_old_generation(desk: Desk, store: Store, plain: Plain) -> None:
    if not desk.one_writer:
        return
    cut_over(store)
    plain.execute("update {gate} set unlocked_generation = 1 where tenant_id = 't'")

    assert insert_refusal(plain, event(seq=3), 1) == "STALE_GENERATION"
    assert refusal(plain, "update {event} set ts = 0 where generation = 1") == "HISTORY_IMMUTABLE"
    assert store.fence_faults() != ()
