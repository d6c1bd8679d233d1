from __future__ import annotations

from cicsc.store.protocol import Store
from conformance.store.history import BUNDLE, add_tenant


def test_creation_of_a_tenant_is_in_the_audit(store: Store) -> None:
    (entry,) = store.audit()

    assert (entry.tenant_id, entry.actor_id, entry.action) == ("t", "ann", "tenant-create")
    assert entry.detail == {"bundle": BUNDLE.digest, "version": 3}
    assert abs(entry.at_ms - store.gate("t").clock_ms) < 60_000


def test_entries_come_in_the_order_in_which_they_were_made(store: Store) -> None:
    for number in range(20):
        store.record(tenant_id="t", actor_id="ann", action="look", detail={"number": number, "big": 10**30})

    entries = list(store.audit())[1:]

    assert [entry.detail for entry in entries] == [{"number": number, "big": 10**30} for number in range(20)]
    assert [entry.audit_id for entry in entries] == sorted(entry.audit_id for entry in entries)


def test_entries_of_one_tenant_and_of_the_store(store: Store) -> None:
    add_tenant(store, "u")
    store.record(tenant_id=None, actor_id="ann", action="look", detail={})

    assert [entry.tenant_id for entry in store.audit()] == ["t", "u", None]
    assert [entry.tenant_id for entry in store.audit("u")] == ["u"]
    assert list(store.audit("nobody")) == []
