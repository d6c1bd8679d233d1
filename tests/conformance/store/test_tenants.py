from __future__ import annotations

from collections.abc import Callable

import pytest

from cicsc.errors import FenceError, InputError, StoreError
from cicsc.store.protocol import Store
from conformance.store.desk import Plain
from conformance.store.history import BUNDLE, NEXT_BUNDLE, add_tenant

WORK = {
    "gate": lambda store: store.gate("nobody"),
    "head": lambda store: store.head("nobody"),
    "latest_ts": lambda store: store.latest_ts("nobody"),
    "streams": lambda store: list(store.streams("nobody")),
    "snapshots": lambda store: list(store.snapshots("nobody")),
    "append": lambda store: store.append("nobody", [], generation=1),
    "import_events": lambda store: store.import_events("nobody", [], generation=1, actor_id="ann"),
    "put_snapshots": lambda store: store.put_snapshots("nobody", [], generation=1),
    "pause": lambda store: store.pause("nobody", owner="ann", seconds=1),
    "renew": lambda store: store.renew("nobody", owner="ann", epoch=1, seconds=1),
    "resume": lambda store: store.resume("nobody", owner="ann", epoch=1),
    "record": lambda store: store.record(tenant_id="nobody", actor_id="ann", action="look", detail={}),
}


@pytest.mark.parametrize(
    "work",
    [
        lambda store, name: store.gate(name),
        lambda store, name: store.create_tenant(name, bundle_digest=BUNDLE.digest, version=1, actor_id="ann"),
        lambda store, name: store.pause("t", owner=name, seconds=1),
    ],
    ids=["gate", "create", "pause"],
)
def test_name_with_a_lone_surrogate_is_refused(store: Store, work: Callable[[Store, str], object]) -> None:
    with pytest.raises(InputError) as caught:
        work(store, "\ud800")

    assert (caught.value.code, "lone surrogate" in caught.value.message) == ("TEXT_NOT_STORABLE", True)


def test_bundle_is_kept_whole(store: Store) -> None:
    assert store.bundle(BUNDLE.digest) == BUNDLE


def test_bundle_may_be_put_again(store: Store) -> None:
    store.put_bundle(BUNDLE)

    assert store.bundle(BUNDLE.digest) == BUNDLE
    assert store.fence_faults() == ()


def test_several_bundles_are_kept(store: Store) -> None:
    store.put_bundle(NEXT_BUNDLE)

    assert store.bundle(NEXT_BUNDLE.digest) == NEXT_BUNDLE
    assert store.bundle(BUNDLE.digest) == BUNDLE


def test_unknown_bundle_is_refused(store: Store) -> None:
    with pytest.raises(FenceError) as caught:
        store.bundle("f" * 64)

    assert caught.value.code == "UNKNOWN_BUNDLE"


@pytest.mark.parametrize(
    "body", ['{"core_ir": {}}', "[]", '{"a": 1, "a": 2}'], ids=["other", "no object", "repeated key"]
)
def test_changed_bundle_is_damage(store: Store, plain: Plain, body: str) -> None:
    plain.execute("update {bundle} set body = ?", body)

    with pytest.raises(StoreError) as caught:
        store.bundle(BUNDLE.digest)

    assert caught.value.code == "STORE_DAMAGED"


def test_tenant_begins_open_and_empty(store: Store) -> None:
    gate = store.create_tenant("new", bundle_digest=BUNDLE.digest, version=7, actor_id="ann")

    assert (gate.tenant_id, gate.state, gate.epoch, gate.owner) == ("new", "open", 1, None)
    assert (gate.active_version, gate.active_bundle, gate.active_generation) == (7, BUNDLE.digest, 1)
    assert (gate.staging_generation, gate.lease_until_ms, gate.pause_deadline_ms) == (None, None, None)
    assert not gate.is_paused
    assert store.head("new").count == 0
    assert list(store.streams("new")) == []
    assert store.latest_ts("new") is None


def test_tenant_is_created_once(store: Store) -> None:
    with pytest.raises(FenceError) as caught:
        add_tenant(store, "t")

    assert caught.value.code == "TENANT_EXISTS"
    assert "tenant-list" in str(caught.value.hint)
    assert [gate.tenant_id for gate in store.gates()] == ["t"]


def test_tenant_needs_a_known_bundle(store: Store) -> None:
    with pytest.raises(FenceError) as caught:
        store.create_tenant("new", bundle_digest=NEXT_BUNDLE.digest, version=1, actor_id="ann")

    assert caught.value.code == "UNKNOWN_BUNDLE"
    assert [gate.tenant_id for gate in store.gates()] == ["t"]


def test_gates_come_in_order_of_code_points(store: Store) -> None:
    names = ["b", "a", "B", "é", "\U0001d54f", "\uffff", "", "aa"]
    for name in names:
        add_tenant(store, name)

    assert [gate.tenant_id for gate in store.gates()] == sorted([*names, "t"])


def test_clock_of_gate_goes_on(store: Store) -> None:
    before = store.gate("t").clock_ms

    after = store.gate("t").clock_ms

    assert 1_600_000_000_000 < before <= after


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_unknown_tenant_is_refused(store: Store, work) -> None:
    with pytest.raises(FenceError) as caught:
        work(store)

    assert caught.value.code == "UNKNOWN_TENANT"
    assert "'nobody'" in caught.value.message
