from __future__ import annotations

import pytest

from cicsc.errors import StoreError
from cicsc.store.protocol import Store
from conformance.store.desk import Desk, Plain
from conformance.store.history import BUNDLE, append, event, stored
from conformance.store.test_fence import insert_refusal

WORK = {
    "upgrade": lambda store: store.upgrade(),
    "fence_faults": lambda store: store.fence_faults(),
    "reinstall_fence": lambda store: store.reinstall_fence(actor_id="ann"),
    "put_bundle": lambda store: store.put_bundle(BUNDLE),
    "bundle": lambda store: store.bundle("0"),
    "gate": lambda store: store.gate("t"),
    "gates": lambda store: list(store.gates()),
    "head": lambda store: store.head("t"),
    "append": lambda store: append(store, event()),
    "pause": lambda store: store.pause("t", owner="ann", seconds=1),
    "audit": lambda store: list(store.audit()),
}


def test_empty_database_has_no_schema(desk: Desk) -> None:
    with desk.open() as store:
        assert store.schema_version() is None


def test_initialise_installs_schema_and_fence(desk: Desk) -> None:
    with desk.open() as store:
        store.initialise()

        assert store.schema_version() == 5
        assert store.fence_faults() == ()


def test_initialise_again_keeps_everything(store: Store) -> None:
    append(store, event())

    store.initialise()

    assert stored(store) == [event()]


def test_upgrade_of_current_schema_changes_nothing(store: Store) -> None:
    append(store, event())

    store.upgrade()

    assert store.schema_version() == 5
    assert stored(store) == [event()]


def test_store_of_version_1_is_upgraded_with_all_that_is_in_it(desk: Desk) -> None:
    desk.install_version_1(BUNDLE, [event(seq=1), event(seq=2, event_type="paid")])
    with desk.open() as store:
        with pytest.raises(StoreError) as caught:
            store.gate("t")

        store.upgrade()

        assert caught.value.code == "STORE_TOO_OLD"
        assert "store-upgrade" in (caught.value.hint or "")
        assert (store.schema_version(), store.fence_faults()) == (5, ())
        assert [(found.seq, found.event_type) for found in stored(store)] == [(1, "created"), (2, "paid")]
        append(store, event(seq=3))
        assert store.import_events("t", [event("2")], generation=1, actor_id="ann") == 1


@pytest.mark.parametrize("version", [2, 3, 4])
def test_store_of_a_version_before_is_upgraded(store: Store, plain: Plain, version: int) -> None:
    append(store, event())
    plain.execute("update {schema_version} set version = ?", version)

    store.upgrade()

    assert (store.schema_version(), store.fence_faults()) == (5, ())
    assert stored(store) == [event()]


def test_fence_that_was_weakened_is_installed_anew(desk: Desk, store: Store, plain: Plain) -> None:
    append(store, event())
    desk.weaken_fence(plain)
    plain.execute("delete from {event_type} where event_type = 'paid'")

    repair = store.reinstall_fence(actor_id="ann")

    assert any("fence_insert is not as installed" in fault for fault in repair.found)
    assert any("the event types of bundle" in fault for fault in repair.found)
    assert (repair.left, store.fence_faults()) == ((), ())
    assert insert_refusal(plain, event(seq=3), 1) == "WRONG_SEQ"
    append(store, event(seq=2, event_type="paid"))
    assert [found.seq for found in stored(store)] == [1, 2]
    entry = list(store.audit())[-1]
    assert (entry.tenant_id, entry.actor_id, entry.action) == (None, "ann", "fence-install")
    assert entry.detail == {"found": list(repair.found), "left": []}


def test_fence_that_is_as_installed_is_left_alone(store: Store) -> None:
    before = list(store.audit())

    repair = store.reinstall_fence(actor_id="ann")

    assert (repair.found, repair.left) == ((), ())
    assert list(store.audit()) == before


def test_bundle_that_cannot_be_read_is_left_to_people(store: Store, plain: Plain) -> None:
    plain.execute("update {bundle} set body = '{'")

    repair = store.reinstall_fence(actor_id="ann")

    assert repair.found == repair.left == store.fence_faults()
    assert BUNDLE.digest in repair.left[0]


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_store_that_is_not_initialised_is_refused(desk: Desk, work) -> None:
    with desk.open() as store, pytest.raises(StoreError) as caught:
        work(store)

    assert caught.value.code == "STORE_NOT_INITIALISED"
    assert "store-init" in (caught.value.hint or "")


@pytest.mark.parametrize(("version", "code"), [(0, "STORE_TOO_OLD"), (4, "STORE_TOO_OLD"), (6, "STORE_TOO_NEW")])
def test_store_of_another_version_is_refused(store: Store, plain: Plain, version: int, code: str) -> None:
    plain.execute("update {schema_version} set version = ?", version)

    with pytest.raises(StoreError) as reading:
        store.head("t")
    with pytest.raises(StoreError) as writing:
        append(store, event())
    with pytest.raises(StoreError) as installing:
        store.initialise()

    assert (reading.value.code, writing.value.code, installing.value.code) == (code, code, code)
    assert store.schema_version() == version


def test_close_may_be_called_again(desk: Desk) -> None:
    store = desk.initialised()

    store.close()
    store.close()

    with pytest.raises(ValueError, match="closed"):
        store.gate("t")
