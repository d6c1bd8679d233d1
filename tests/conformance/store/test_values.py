"""What is put in comes out again, whatever it holds."""

from __future__ import annotations

import math

import pytest

from cicsc.canonical import EVENT_FIELDS, canonical_bytes
from cicsc.errors import InputError, UsageError
from cicsc.history.model import Event
from cicsc.history.sorted import open_history
from cicsc.replay.snapshot import Snapshot
from cicsc.store.protocol import Store
from conformance.store.desk import Desk, Plain
from conformance.store.history import BUNDLE, INSERT, add_tenant, append, columns, digest, event, stored

PAYLOADS = {
    "empty": {},
    "big integers": {"a": 10**400, "b": -(2**63) - 1, "c": 2**64, "d": [10**999]},
    "floats": {"a": 0.1, "b": 1e308, "c": 5e-324, "d": -0.0, "e": 1e16, "f": 3e-6, "g": 2.0},
    "text": {"a": "\U0001d54f \u2028 \u0001 \ufeff \x7f", "b": "'; drop table event; --", "c": '"\\', "": "empty key"},
    "NUL in text": {"a\0b": "c\0d"},
    "what SQL would read": {"a": "%s %(x)s $1 :x ? {0} \\N", "b": "NULL", "c": "\t\n\r\\."},
    "literals": {"a": None, "b": True, "c": False, "d": [], "e": {}, "f": [[[{"g": [None]}]]]},
    "deep": {"a": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]},
    "long": {"a": "é" * 100_000},
    "order of keys": {"b": 1, "a": 2},
}

NAMES = {
    "empty": "",
    "space": " ",
    "quotes": 'it\'s "quoted" `so`',
    "a statement": "t'; drop table event; --",
    "patterns": "%_*?[a]",
    "formats": "%s {0} {event} $1 :a ?1",
    "escapes": "\\ \\. \\N \\x00",
    "white space": "\t\r\n\v\f",
    "controls": "\x01\x1b\x7f\u0085\u200b\ufeff",
    "beyond the basic plane": "\U0001d54f\U0010ffff",
    "not characters": "\uffff\ufdd0",
    "right to left": "\u202eabc",
    "not normal": "e\u0301",
    "long": "x" * 1000,
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_payload(store: Store, payload: dict[str, object]) -> None:
    append(store, event(payload=payload))

    (found,) = stored(store)
    assert canonical_bytes(found.payload) == canonical_bytes(payload)
    assert list(found.payload) == list(payload)


def test_sign_of_zero_and_kind_of_number(store: Store) -> None:
    append(store, event(payload={"a": -0.0, "b": 2.0, "c": 2}))

    payload = stored(store)[0].payload
    assert math.copysign(1, payload["a"]) == -1
    assert [type(payload[name]) for name in "abc"] == [float, float, int]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names(store: Store, plain: Plain, name: str) -> None:
    add_tenant(store, name)
    written = Event(name, "Order", name, 1, "created", {name: name}, 1, name, {"more " + name: name})

    append(store, written)

    assert stored(store, name) == [written]
    assert store.gate(name).tenant_id == name
    assert stored(store, "t") == []
    assert plain.execute("select tenant_id, entity_id, actor_id from {event}") == [(name, name, name)]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_at_the_gate(store: Store, plain: Plain, name: str) -> None:
    add_tenant(store, name)

    epoch = store.pause(name, owner=name, seconds=60).epoch

    assert (store.gate(name).is_paused, store.gate("t").is_paused) == (True, False)
    assert store.gate(name).owner == name
    store.resume(name, owner=name, epoch=epoch)
    plain.execute(INSERT, *columns(event(tenant_id=name)))
    assert (store.head(name).count, store.head("t").count) == (1, 0)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_beside_the_history(store: Store, name: str) -> None:
    add_tenant(store, name)
    snapshot = Snapshot(name, "Order", name, name, {name: name}, {name: None}, None, 1)
    with store.transaction(name) as transaction:
        transaction.append([event(name, tenant_id=name)])
        transaction.put_snapshots([snapshot])
        transaction.put_receipt(name, {name: name})
        transaction.record(actor_id=name, action=name, detail={name: name})

    with store.transaction(name) as transaction:
        assert transaction.snapshot("Order", name) == snapshot
        receipt = transaction.receipt(name)
    assert receipt is not None
    assert (receipt.command_id, receipt.result) == (name, {name: name})
    last = list(store.audit(name))[-1]
    assert (last.tenant_id, last.actor_id, last.action, last.detail) == (name, name, name, {name: name})


@pytest.mark.parametrize("other", ["T", "t ", " t", "t\u0301", "ｔ", "t\n"])
def test_tenants_with_similar_names_are_apart(store: Store, other: str) -> None:
    add_tenant(store, other)

    append(store, event(tenant_id=other))
    store.pause(other, owner="ann", seconds=60)

    assert (store.head("t").count, store.gate("t").is_paused) == (0, False)


def test_names_with_nul(desk: Desk, store: Store) -> None:
    """SQLite keeps NUL; PostgreSQL cannot, and says so by name."""
    work = {
        "tenant": lambda: add_tenant(store, "t\0u"),
        "entity": lambda: append(store, event("1\0002")),
        "bulk": lambda: store.import_events("t", [event("2\0003")], generation=1, actor_id="ann"),
        "owner": lambda: store.pause("t", owner="a\0b", seconds=60),
        "reading": lambda: store.gate("t\0u"),
    }
    if desk.keeps_nul:
        for act in work.values():
            act()
        assert [found.entity_id for found in stored(store)] == ["1\0002", "2\0003"]
        assert [gate.tenant_id for gate in store.gates()] == ["t", "t\0u"]
        assert store.gate("t").owner == "a\0b"
        return
    for act in work.values():
        with pytest.raises(InputError) as caught:
            act()
        assert caught.value.code == "TEXT_NOT_STORABLE"
        assert "NUL" in caught.value.message
    assert stored(store) == []


EXTRAS = [None, {"a": 1}, {"a": 10**100, "b": {"c": [None, 1.5]}, "": ""}, {"generation": 7, "position": 1}]


@pytest.mark.parametrize("extra", EXTRAS, ids=["none", "one", "several", "names of columns"])
def test_extra_fields(store: Store, extra: dict[str, object] | None) -> None:
    append(store, event(extra=extra))

    assert stored(store) == [event(extra=extra)]


@pytest.mark.parametrize("name", EVENT_FIELDS)
def test_extra_field_of_the_name_of_a_field_is_refused(store: Store, name: str) -> None:
    with pytest.raises(UsageError, match="an extra field has the name of a field") as caught:
        append(store, event(extra={name: 1, "a": 1}))

    assert (caught.value.code, stored(store)) == ("FIELD_TWICE", [])


def test_columns_tell_what_an_extra_field_of_their_name_does_not(store: Store, plain: Plain) -> None:
    """A program that writes by itself could else make an export tell of another tenant."""
    plain.execute(INSERT, *columns(event()))
    extra = '{"tenant_id": "other", "seq": 9, "a": 1}'
    plain.execute(INSERT.replace("actor_id)", "actor_id, extra)").replace("?)", "?, ?)"), *columns(event(seq=2)), extra)

    assert stored(store) == [event(payload={}), event(seq=2, payload={}, extra={"a": 1})]


@pytest.mark.parametrize("version", [0, -1, 2**63 - 1])
def test_versions(store: Store, version: int) -> None:
    gate = store.create_tenant("new", bundle_digest=BUNDLE.digest, version=version, actor_id="ann")

    assert gate.active_version == version


def test_digest_of_what_comes_out_is_that_of_what_went_in(store: Store) -> None:
    events = [
        event(f"{name} {index}", seq, payload=payload | {"seq": seq}, ts=seq - 2, extra={"at": name})
        for index, (name, payload) in enumerate(PAYLOADS.items())
        for seq in (1, 2, 3)
    ]
    with open_history(events) as history:
        before = digest(history.streams())
        in_order = [found for _, stream in history.streams() for found in stream]
        store.import_events("t", in_order, generation=1, actor_id="ann")

    assert digest(store.streams("t")) == before
    with open_history(stored(store)) as again:
        assert digest(again.streams()) == before
    assert stored(store) == in_order
