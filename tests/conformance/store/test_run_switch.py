"""The switch: what stands in its way, and what it leaves as it was."""

from __future__ import annotations

import pytest

from cicsc.errors import FenceError
from cicsc.replay.snapshot import Snapshot
from cicsc.store.journal import exhaust
from cicsc.store.protocol import Store
from cicsc.store.records import Run
from conformance.store.desk import Desk, Plain
from conformance.store.history import INSERT, append, columns, event, stored
from conformance.store.running import (
    begin,
    code_of,
    cut_over,
    dump,
    fence,
    placed,
    renamed,
    run_in,
    staged,
    verified,
)


@pytest.fixture(autouse=True)
def history(store: Store) -> None:
    append(store, event(seq=1), event(seq=2, event_type="paid"), event("2"))


def refused(store: Store, plain: Plain, run: Run) -> FenceError:
    """Try the switch; it has to change nothing, and an abort has to be possible after it."""
    before = dump(plain)
    with pytest.raises(FenceError) as caught:
        store.runs.switch(run)
    assert dump(plain) == before
    store.runs.abort(run, reason="refused", lease_s=60)
    gate = store.gate("t")
    assert (gate.state, gate.active_generation, gate.active_version) == ("open", 1, 3)
    return caught.value


def write_past_the_fence(plain: Plain, *statements: tuple[object, ...]) -> None:
    """Write while the gate is opened by hand for a moment, as who may change the gate can."""
    plain.begin()
    (lease,) = plain.execute("select lease_until_ms from {gate} where tenant_id = 't'")
    plain.execute("update {gate} set lease_until_ms = 0 where tenant_id = 't'")
    for statement, *parameters in statements:
        plain.execute(str(statement), *parameters)
    plain.execute("update {gate} set lease_until_ms = ? where tenant_id = 't'", *lease)
    plain.commit()


def test_head_that_moved(store: Store, plain: Plain) -> None:
    run = run_in(store, "STAGED")
    write_past_the_fence(plain, (INSERT, *columns(event("3"))))

    error = refused(store, plain, run)

    assert error.code == "HEAD_MOVED"
    assert "verified 3 events" in error.message
    assert "found 4" in error.message


@pytest.mark.parametrize("number", [0, 1, 2])
def test_staged_events_that_are_missing(store: Store, plain: Plain, number: int) -> None:
    run = fence(store, begin(store))
    store.runs.stage(run, staged(renamed(store)[:number]))
    run = store.runs.staged(verified(store, run, 3))

    error = refused(store, plain, run)

    assert (error.code, f"found {number} events" in error.message) == ("STAGING_DIFFERS", True)


def test_staged_event_too_many(store: Store, plain: Plain) -> None:
    run = fence(store, begin(store))
    store.runs.stage(run, staged([*renamed(store), *placed(event("9"), position=1_000)]))

    assert refused(store, plain, store.runs.staged(verified(store, run, 3))).code == "STAGING_DIFFERS"


@pytest.mark.parametrize("trigger", ["fence_insert", "fence_update", "fence_delete"])
def test_trigger_that_was_dropped(desk: Desk, store: Store, plain: Plain, trigger: str) -> None:
    run = run_in(store, "STAGED")
    desk.drop_trigger(plain, trigger)

    error = refused(store, plain, run)

    assert error.code == "FENCE_CHANGED"
    assert trigger in error.message


def test_fence_that_was_changed(desk: Desk, store: Store, plain: Plain) -> None:
    run = run_in(store, "STAGED")
    desk.weaken_fence(plain)

    error = refused(store, plain, run)

    assert error.code == "FENCE_CHANGED"
    assert "fence_insert" in error.message


def test_bundle_that_was_changed_meanwhile(store: Store, plain: Plain) -> None:
    run = run_in(store, "STAGED")
    plain.execute("update {gate} set active_bundle = ? where tenant_id = 't'", run.target_bundle)

    assert code_of(lambda: store.runs.switch(run)) == "RUN_LOST"


# ------------------------------------------------------------------------------------ what readers see


@pytest.mark.parametrize("phase", ["FENCED", "VERIFIED", "STAGED", "ABORTED"])
def test_readers_never_see_what_is_staged(store: Store, phase) -> None:
    before = (stored(store), store.head("t"), store.latest_ts("t"), list(store.snapshots("t")))
    made = Snapshot("t", "Order", "1", "settled", {}, {}, 9, 2)

    run_in(store, phase, rows=[*renamed(store), *placed(event("9", ts=99), position=1_000)], snapshots=[made])

    assert (stored(store), store.head("t"), store.latest_ts("t"), list(store.snapshots("t"))) == before
    with store.reading("t") as reading:
        assert reading.snapshot("Order", "1") is None
        assert list(reading.events("Order", "9")) == []
        assert [event for _, batches in reading.placed_streams() for batch in batches for event in batch.events] != []


def test_reading_that_began_before_the_switch_goes_on_as_it_was(store: Store) -> None:
    run = run_in(store, "STAGED")
    with store.reading("t") as reading:
        store.runs.switch(run)
        types = [found.event_type for _, events in reading.streams() for found in events]
        version = reading.gate.active_version

    assert (types, version) == (["created", "paid", "created"], 3)
    assert [found.event_type for found in stored(store)] == ["created", "settled", "created"]


def test_snapshots_are_switched_with_the_events(store: Store) -> None:
    old = Snapshot("t", "Order", "1", "paid", {}, {}, 9, 2)
    new = Snapshot("t", "Order", "1", "settled", {}, {}, 9, 2)
    store.put_snapshots("t", [old], generation=1)

    run = run_in(store, "STAGED", snapshots=[new])
    assert list(store.snapshots("t")) == [old]
    store.runs.switch(run)

    assert list(store.snapshots("t")) == [new]
    assert list(store.snapshots("t", 1)) == [old]


def test_old_generation_stays_as_it_was(store: Store) -> None:
    before = stored(store)

    cut_over(store)

    assert stored(store, generation=1) == before
    assert store.runs.generations("t") == [1, 2]


def test_receipts_survive_the_switch(store: Store) -> None:
    with store.transaction("t") as transaction:
        transaction.put_receipt("c1", {"answer": 1})

    cut_over(store)

    with store.transaction("t") as transaction:
        receipt = transaction.receipt("c1")
    assert receipt is not None
    assert receipt.result == {"answer": 1}


# ------------------------------------------------------------------------------- positions, generations


def places(store: Store) -> list[tuple[str, int, int]]:
    with store.reading("t") as reading:
        return [
            (key[2], found.seq, position)
            for key, batches in reading.placed_streams()
            for batch in batches
            for position, found in batch.pairs()
        ]


def test_positions_are_kept(store: Store) -> None:
    before = places(store)

    cut_over(store)

    assert places(store) == before


def test_what_is_made_of_one_event_stays_at_its_place(store: Store, plain: Plain) -> None:
    (first, second, _) = [position for *_, position in places(store)]
    made = [
        *placed(event(seq=1), event(seq=2, event_type="settled"), position=first),
        *placed(event(seq=3), position=second),
    ]

    run_in(store, "SWITCHED", rows=made)

    assert [place[1:] for place in places(store)] == [(1, first), (2, first), (3, second)]
    query = "select seq, position, ordinal from {event} where tenant_id = 't' and generation = 2 order by seq"
    assert plain.execute(query) == [(1, first, 0), (2, first, 1), (3, second, 0)]


def test_new_events_come_after_all_that_is_there(store: Store, plain: Plain) -> None:
    largest = store.head("t").position
    cut_over(store)

    append(store, event("3"), generation=2)
    plain.execute(INSERT, *columns(event("4"), 2))

    assert [place[0] for place in places(store) if place[2] > largest] == ["3", "4"]
    assert store.head("t").position > largest


def test_positions_never_fall_back_when_events_are_dropped(store: Store) -> None:
    largest = store.head("t").position
    run_in(store, "DONE", rows=renamed(store)[:1])

    append(store, event("3"), generation=2)

    assert store.head("t").position > largest


def test_numbers_of_generations_are_never_given_again(store: Store) -> None:
    for number, run_id in enumerate(("r1", "r2", "r3"), 2):
        run = fence(store, begin(store, run_id))
        assert run.target_generation == number
        store.runs.stage(run, staged(renamed(store)))
        exhaust(store.runs.sweep(store.runs.abort(run, reason="again", lease_s=60), lease_s=60))

    assert store.runs.generations("t") == [1]
    assert cut_over(store, "r4").target_generation == 5
