"""The fence against programs that write by plain SQL: what is refused, and with which code."""

from __future__ import annotations

from contextlib import suppress

import pytest

from cicsc.history.model import Event
from cicsc.store.protocol import Store
from conformance.store.desk import Desk, Plain, RefusedError
from conformance.store.history import INSERT, add_tenant, append, columns, digest, event, stored
from conformance.store.test_append import switch


def refusal(plain: Plain, statement: str, *parameters: object) -> str:
    with pytest.raises(RefusedError) as caught:
        plain.execute(statement, *parameters)
    return caught.value.code


def insert_refusal(plain: Plain, written: Event, generation: int = 1) -> str:
    return refusal(plain, INSERT, *columns(written, generation))


def paid(seq: int = 2) -> Event:
    return event(seq=seq, event_type="paid")


def test_unknown_tenant(store: Store, plain: Plain) -> None:
    assert insert_refusal(plain, event(tenant_id="nobody")) == "UNKNOWN_TENANT"


def test_tenant_whose_gate_is_gone(store: Store, plain: Plain) -> None:
    plain.execute("delete from {gate} where tenant_id = 't'")

    assert insert_refusal(plain, event()) == "UNKNOWN_TENANT"


def test_paused_tenant(store: Store, plain: Plain) -> None:
    store.pause("t", owner="ann", seconds=60)

    assert insert_refusal(plain, event()) == "TENANT_PAUSED"


def test_pause_is_told_before_all_else(store: Store, plain: Plain) -> None:
    store.pause("t", owner="ann", seconds=60)

    assert insert_refusal(plain, event(seq=7, event_type="unknown"), 9) == "TENANT_PAUSED"


def test_pause_holds_one_tenant_only(store: Store, plain: Plain) -> None:
    add_tenant(store, "u")
    store.pause("t", owner="ann", seconds=60)

    plain.execute(INSERT, *columns(event(tenant_id="u")))

    assert store.head("u").count == 1


@pytest.mark.parametrize("generation", [0, 2])
def test_stale_generation(store: Store, plain: Plain, generation: int) -> None:
    assert insert_refusal(plain, event(), generation) == "STALE_GENERATION"


def test_old_program_after_the_switch(store: Store, plain: Plain) -> None:
    append(store, event())
    switch(store, plain)

    assert insert_refusal(plain, paid()) == "STALE_GENERATION"
    assert insert_refusal(plain, event(event_type="paid"), 2) == "UNKNOWN_EVENT_TYPE"


def test_unknown_event_type(store: Store, plain: Plain) -> None:
    assert insert_refusal(plain, event(event_type="settled")) == "UNKNOWN_EVENT_TYPE"
    assert insert_refusal(plain, event(entity_type="Customer")) == "UNKNOWN_EVENT_TYPE"


def test_streams_of_two_types_have_their_own_seqs(store: Store, plain: Plain) -> None:
    registered = {"entity_type": "Customer", "event_type": "registered"}
    plain.execute(INSERT, *columns(event()))
    plain.execute(INSERT, *columns(event(seq=2)))

    assert insert_refusal(plain, event(seq=3, **registered)) == "WRONG_SEQ"
    plain.execute(INSERT, *columns(event(**registered)))

    assert [(found.entity_type, found.seq) for found in stored(store)] == [("Customer", 1), ("Order", 1), ("Order", 2)]


@pytest.mark.parametrize("seq", [-(2**63), -1, 0, 1, 3, 2**62, 2**63 - 1])
def test_wrong_seq(store: Store, plain: Plain, seq: int) -> None:
    append(store, event())

    assert insert_refusal(plain, event(seq=seq)) == "WRONG_SEQ"


@pytest.mark.parametrize(("position", "ordinal"), [(2**40, 0), (1, 1)])
def test_events_are_not_written_at_a_place_of_their_own(
    desk: Desk, store: Store, plain: Plain, position: int, ordinal: int
) -> None:
    append(store, event("1"))

    with pytest.raises(RefusedError) as caught:
        desk.put_staged(plain, columns(event("2")), position, ordinal)

    assert (caught.value.code, store.head("t").count) == ("HISTORY_IMMUTABLE", 1)


def test_events_are_not_written_with_an_ordinal_alone(store: Store, plain: Plain) -> None:
    statement = INSERT.replace("actor_id)", "actor_id, ordinal)").replace("?)", "?, ?)")

    assert refusal(plain, statement, *columns(event()), 1) == "HISTORY_IMMUTABLE"

    assert stored(store) == []


def test_refused_statement_writes_nothing(store: Store, plain: Plain) -> None:
    both = "(?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    statement = INSERT.replace("(?, ?, ?, ?, ?, ?, ?, ?, ?)", both)

    assert refusal(plain, statement, *columns(event("1")), *columns(event("2", seq=5))) == "WRONG_SEQ"

    assert stored(store) == []


def test_several_events_of_a_stream_in_one_statement(store: Store, plain: Plain) -> None:
    both = "(?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    statement = INSERT.replace("(?, ?, ?, ?, ?, ?, ?, ?, ?)", both)

    plain.execute(statement, *columns(event(seq=1)), *columns(paid(2)))

    assert [found.seq for found in stored(store)] == [1, 2]


def test_upsert_does_not_change_an_event(store: Store, plain: Plain) -> None:
    append(store, event())
    conflict = " on conflict (tenant_id, generation, entity_type, entity_id, seq) do update set actor_id = 'mallory'"

    assert refusal(plain, INSERT + conflict, *columns(event())) in {"WRONG_SEQ", "HISTORY_IMMUTABLE"}

    assert stored(store) == [event()]


def test_upsert_that_does_nothing_leaves_the_event(store: Store, plain: Plain) -> None:
    append(store, event())

    with suppress(RefusedError):  # whether it is told makes no difference
        plain.execute(INSERT + " on conflict do nothing", *columns(event(), payload='{"total": 2}'))

    assert stored(store) == [event()]


CHANGES = (
    "update {event} set payload = '{}'",
    "update {event} set tenant_id = 'u' where entity_id = '1'",
    "update {event} set generation = 2",
    "update {event} set seq = seq",
    "update {event} set actor_id = 'mallory' where tenant_id = 't' and seq = 1",
    "delete from {event} where tenant_id = 't'",
    "delete from {event} where tenant_id = 't' and generation = 1 and entity_id = '1' and seq = 2",
)


@pytest.mark.parametrize("statement", CHANGES)
def test_events_are_never_changed(store: Store, plain: Plain, statement: str) -> None:
    append(store, event(), paid())
    before = digest(store.streams("t"))

    assert refusal(plain, statement) == "HISTORY_IMMUTABLE"

    assert digest(store.streams("t")) == before


@pytest.mark.parametrize("statement", CHANGES)
def test_pause_does_not_let_events_be_changed(store: Store, plain: Plain, statement: str) -> None:
    append(store, event(), paid())
    store.pause("t", owner="ann", seconds=60)

    assert refusal(plain, statement) == "HISTORY_IMMUTABLE"


def test_what_the_kind_of_store_offers_does_not_change_events(desk: Desk, store: Store, plain: Plain) -> None:
    append(store, event(), paid())
    before = digest(store.streams("t"))

    codes = [refusal(plain, statement) for statement in desk.bypasses]

    assert set(codes) <= {"HISTORY_IMMUTABLE", "WRONG_SEQ"}
    assert digest(store.streams("t")) == before


def test_settings_do_not_turn_the_fence_off(desk: Desk, store: Store, plain: Plain) -> None:
    append(store, event(), paid())
    before = digest(store.streams("t"))
    for statements in desk.switches:
        for statement in statements:
            plain.execute(statement)
        codes = [refusal(plain, statement) for statement in desk.bypasses]
        assert set(codes) <= {"HISTORY_IMMUTABLE", "WRONG_SEQ"}
        assert insert_refusal(plain, event(seq=5)) == "WRONG_SEQ"
        assert insert_refusal(plain, event(tenant_id="nobody")) == "UNKNOWN_TENANT"
    assert digest(store.streams("t")) == before


@pytest.mark.parametrize("payload", ["", "[]", "1", "null", "{", '{"a": 1,}', "{'a': 1}"])
def test_payload_is_the_text_of_an_object(store: Store, plain: Plain, payload: str) -> None:
    with pytest.raises(RefusedError):
        plain.execute(INSERT, *columns(event(), payload=payload))

    assert store.head("t").count == 0


def test_audit_is_never_changed(store: Store, plain: Plain) -> None:
    before = list(store.audit())

    for statement in ("update {audit} set actor_id = 'bob'", "delete from {audit}", "delete from {audit} where 1 = 1"):
        assert refusal(plain, statement) == "HISTORY_IMMUTABLE"

    assert before != []
    assert list(store.audit()) == before


def test_row_of_another_tenant_cannot_be_taken(store: Store, plain: Plain) -> None:
    add_tenant(store, "u")
    append(store, event())

    plain.execute(INSERT, *columns(event(tenant_id="u")))

    assert (stored(store, "t"), len(stored(store, "u"))) == ([event()], 1)


# ---------------------------------------------------------------------------------------------- staging


@pytest.fixture
def paused_epoch(store: Store, plain: Plain) -> int:
    """The epoch of a pause by 'run', which stages generation 2."""
    append(store, event(), paid())
    epoch = store.pause("t", owner="run", seconds=60).epoch
    plain.execute("update {gate} set staging_generation = 2 where tenant_id = 't' and epoch = ?", epoch)
    return epoch


def test_owner_writes_into_staging(desk: Desk, store: Store, plain: Plain, paused_epoch: int) -> None:
    with desk.as_owner(plain, "t", 2, owner="run", epoch=paused_epoch):
        plain.execute(INSERT, *columns(event(event_type="unknown to the active bundle"), 2))

    assert [found.event_type for found in stored(store, generation=2)] == ["unknown to the active bundle"]
    assert stored(store) == [event(), paid()]


def test_staging_is_closed_to_others(desk: Desk, store: Store, plain: Plain, paused_epoch: int) -> None:
    assert insert_refusal(plain, event(), 2) == "TENANT_PAUSED"

    store.resume("t", owner="run", epoch=paused_epoch)

    assert insert_refusal(plain, event(), 2) == "STALE_GENERATION"


@pytest.mark.parametrize(("owner", "by"), [("run", -1), ("run", 1), ("other", 0)])
def test_who_owned_the_gate_once_is_refused(
    desk: Desk, store: Store, plain: Plain, paused_epoch: int, owner: str, by: int
) -> None:
    with pytest.raises(RefusedError), desk.as_owner(plain, "t", 2, owner=owner, epoch=paused_epoch + by):
        plain.execute(INSERT, *columns(event(), 2))

    assert stored(store, generation=2) == []


def test_staged_events_keep_positions(desk: Desk, store: Store, plain: Plain, paused_epoch: int) -> None:
    position = store.head("t").position

    with desk.as_owner(plain, "t", 2, owner="run", epoch=paused_epoch):
        desk.put_staged(plain, columns(event(seq=1), 2), position, 0)
        desk.put_staged(plain, columns(paid(2), 2), position, 1)

    head = store.head("t", 2)
    assert (head.position, head.count) == (position, 2)


def test_staged_streams_have_no_gaps(desk: Desk, store: Store, plain: Plain, paused_epoch: int) -> None:
    with pytest.raises(RefusedError) as caught, desk.as_owner(plain, "t", 2, owner="run", epoch=paused_epoch):
        plain.execute(INSERT, *columns(event(seq=2), 2))

    assert caught.value.code == "WRONG_SEQ"


def test_staging_may_be_cleaned_up(desk: Desk, store: Store, plain: Plain, paused_epoch: int) -> None:
    with desk.as_owner(plain, "t", 2, owner="run", epoch=paused_epoch):
        plain.execute(INSERT, *columns(event(), 2))
    assert refusal(plain, "delete from {event} where tenant_id = 't' and generation = 2") == "HISTORY_IMMUTABLE"

    with desk.as_owner(plain, "t", 2, owner="run", epoch=paused_epoch):
        plain.execute("delete from {event} where tenant_id = 't' and generation = 2")

    assert stored(store, generation=2) == []
    assert stored(store) == [event(), paid()]


@pytest.mark.parametrize(
    "statement",
    [
        "delete from {event} where tenant_id = 't' and generation = 1",
        "delete from {event} where tenant_id = 't'",
        "update {event} set actor_id = 'run' where generation = 2",
    ],
)
def test_owner_cannot_change_the_active_generation(
    desk: Desk, store: Store, plain: Plain, paused_epoch: int, statement: str
) -> None:
    with desk.as_owner(plain, "t", 2, owner="run", epoch=paused_epoch):
        plain.execute(INSERT, *columns(event(), 2))

    with pytest.raises(RefusedError) as caught, desk.as_owner(plain, "t", 2, owner="run", epoch=paused_epoch):
        plain.execute(statement)

    assert caught.value.code == "HISTORY_IMMUTABLE"
    assert stored(store) == [event(), paid()]


def test_owner_of_one_tenant_is_nobody_for_another(desk: Desk, store: Store, plain: Plain, paused_epoch: int) -> None:
    add_tenant(store, "u")
    plain.execute("update {gate} set staging_generation = 2 where tenant_id = 'u'")

    with pytest.raises(RefusedError) as caught, desk.as_owner(plain, "t", 2, owner="run", epoch=paused_epoch):
        plain.execute(INSERT, *columns(event(tenant_id="u"), 2))

    assert caught.value.code == "STALE_GENERATION"


def test_owner_writes_into_the_active_generation_like_anybody(
    desk: Desk, store: Store, plain: Plain, paused_epoch: int
) -> None:
    with pytest.raises(RefusedError) as caught, desk.as_owner(plain, "t", 2, owner="run", epoch=paused_epoch):
        plain.execute(INSERT, *columns(event("2"), 1))

    assert caught.value.code == "TENANT_PAUSED"


def test_positions_are_given_by_the_store(desk: Desk, store: Store, plain: Plain) -> None:
    with pytest.raises(RefusedError):
        desk.put_staged(plain, columns(event()), 1_000_000, 3)

    assert store.head("t").count == 0


# -------------------------------------------------------------------------------------- what store-check sees


@pytest.mark.parametrize("trigger", ["fence_insert", "fence_update", "fence_delete"])
def test_dropped_trigger_is_named(desk: Desk, store: Store, plain: Plain, trigger: str) -> None:
    desk.drop_trigger(plain, trigger)

    assert [fault for fault in store.fence_faults() if trigger in fault] != []


def test_event_type_put_by_hand_is_named(store: Store, plain: Plain) -> None:
    bundle = store.gate("t").active_bundle
    plain.execute("insert into {event_type} (bundle, entity_type, event_type) values (?, 'Order', 'forged')", bundle)

    assert [fault for fault in store.fence_faults() if bundle in fault] != []
