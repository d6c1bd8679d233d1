from __future__ import annotations

import pytest

from cicsc.errors import FenceError, UsageError
from cicsc.store.protocol import Store
from conformance.store.desk import Plain
from conformance.store.history import INSERT, NEXT_BUNDLE, add_tenant, append, columns, event, stored


def refusal(store: Store, *events, generation: int = 1) -> FenceError:
    with pytest.raises(FenceError) as caught:
        append(store, *events, generation=generation)
    return caught.value


def switch(store: Store, plain: Plain) -> None:
    """Move the tenant on as a cutover does, to generation 2 of the next bundle."""
    store.put_bundle(NEXT_BUNDLE)
    plain.execute(
        "update {gate} set active_generation = 2, active_bundle = ?, epoch = epoch + 1 where tenant_id = 't'",
        NEXT_BUNDLE.digest,
    )


def test_events_are_kept(store: Store) -> None:
    append(store, event(seq=1), event(seq=2, event_type="paid"))
    append(store, event(seq=3))

    assert stored(store) == [event(seq=1), event(seq=2, event_type="paid"), event(seq=3)]


def test_nothing_is_appended_by_no_events(store: Store) -> None:
    store.append("t", [], generation=1)

    assert store.head("t").count == 0


def test_head_grows_with_every_event(store: Store) -> None:
    heads = [store.head("t")]
    for seq in (1, 2, 3):
        append(store, event(seq=seq))
        heads.append(store.head("t"))

    assert [head.count for head in heads] == [0, 1, 2, 3]
    assert heads[0].position == 0
    assert heads[0].position < heads[1].position < heads[2].position < heads[3].position
    assert {head.generation for head in heads} == {1}


def test_head_is_the_tenants_own(store: Store) -> None:
    add_tenant(store, "u")
    append(store, event())

    assert store.head("u").count == 0
    assert store.head("u").position == 0


@pytest.mark.parametrize("seq", [-1, 0, 2, 2**63 - 1, -(2**63)])
def test_first_event_has_seq_one(store: Store, seq: int) -> None:
    error = refusal(store, event(seq=seq))

    assert error.code == "WRONG_SEQ"
    assert f"expected seq 1, found {seq}" in error.message
    assert stored(store) == []


@pytest.mark.parametrize("seq", [1, 2, 4])
def test_next_event_has_the_next_seq(store: Store, seq: int) -> None:
    append(store, event(seq=1), event(seq=2))

    error = refusal(store, event(seq=seq))

    assert error.code == "WRONG_SEQ"
    assert "('t', 'Order', '1')" in error.message
    assert f"expected seq 3, found {seq}" in error.message


def test_gap_within_what_is_appended_is_refused(store: Store) -> None:
    error = refusal(store, event(seq=1), event(seq=3))

    assert error.code == "WRONG_SEQ"
    assert "expected seq 2, found 3" in error.message
    assert stored(store) == []


def test_append_is_all_or_nothing(store: Store) -> None:
    append(store, event("1"))

    error = refusal(store, event("2"), event("3"), event("1", seq=1))

    assert error.code == "WRONG_SEQ"
    assert stored(store) == [event("1")]


@pytest.mark.parametrize(
    ("entity_type", "event_type"), [("Order", "settled"), ("Order", "registered"), ("Unknown", "created"), ("", "")]
)
def test_event_without_reducer_is_refused(store: Store, entity_type: str, event_type: str) -> None:
    error = refusal(store, event(entity_type=entity_type, event_type=event_type))

    assert error.code == "UNKNOWN_EVENT_TYPE"
    assert repr(event_type) in error.message
    assert stored(store) == []


@pytest.mark.parametrize("generation", [0, 2, -1])
def test_generation_that_is_not_active_is_refused(store: Store, generation: int) -> None:
    error = refusal(store, event(), generation=generation)

    assert error.code == "STALE_GENERATION"
    assert f"generation {generation}" in error.message
    assert "active generation 1" in error.message
    assert stored(store, generation=generation) == []


def test_old_program_is_refused_after_the_switch(store: Store, plain: Plain) -> None:
    append(store, event())
    switch(store, plain)

    assert refusal(store, event(seq=2, event_type="paid")).code == "STALE_GENERATION"
    assert refusal(store, event(event_type="paid"), generation=2).code == "UNKNOWN_EVENT_TYPE"
    append(store, event(event_type="settled"), generation=2)

    assert stored(store, generation=1) == [event()]
    assert stored(store) == [event(event_type="settled")]


def test_positions_go_on_after_the_switch(store: Store, plain: Plain) -> None:
    append(store, event())
    before = store.head("t").position
    switch(store, plain)

    append(store, event(event_type="settled"), generation=2)

    assert store.head("t").position > before


def test_event_of_another_tenant_is_refused(store: Store) -> None:
    add_tenant(store, "u")

    with pytest.raises(UsageError) as caught:
        store.append("t", [event(), event(tenant_id="u")], generation=1)

    assert caught.value.code == "TENANT_DIFFERS"
    assert (stored(store, "t"), stored(store, "u")) == ([], [])


def test_same_ids_of_two_tenants_are_two_streams(store: Store) -> None:
    add_tenant(store, "u")

    append(store, event(seq=1), event(seq=2))
    append(store, event(tenant_id="u", payload={"total": 9}))

    assert stored(store, "t") == [event(seq=1), event(seq=2)]
    assert stored(store, "u") == [event(tenant_id="u", payload={"total": 9})]


def test_error_of_the_events_leaves_nothing(store: Store) -> None:
    def broken():
        yield event()
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        store.append("t", broken(), generation=1)

    assert stored(store) == []
    append(store, event())


def test_plain_writer_may_append(store: Store, plain: Plain) -> None:
    append(store, event(seq=1))

    plain.execute(INSERT, *columns(event(seq=2), payload='{"total": 1}'))

    append(store, event(seq=3))
    assert stored(store) == [event(seq=1), event(seq=2), event(seq=3)]


def test_seq_that_is_expected_is_that_of_the_tenants_own_stream(store: Store) -> None:
    add_tenant(store, "u")
    append(store, *(event(seq=seq, tenant_id="u") for seq in (1, 2, 3)))
    append(store, event())

    with pytest.raises(FenceError, match="expected seq 2, found 4") as caught:
        append(store, event(seq=4))

    assert caught.value.code == "WRONG_SEQ"
