"""Events that were made elsewhere: written through the fence, with the snapshots that they lead to."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from cicsc.errors import CicscError, FenceError, InputError, UsageError
from cicsc.history.model import Event
from cicsc.runtime import CommandResult, Runtime
from cicsc.runtime import runtime as module
from cicsc.store.check import check_store
from cicsc.store.protocol import Store
from conformance.store.history import stored


def event(entity_id: str, seq: int, event_type: str = "deposited", *, tenant_id: str = "t") -> Event:
    return Event(tenant_id, "Account", entity_id, seq, event_type, {"amount": seq}, 10 * seq, "ann")


def test_events_and_snapshots_are_kept(store: Store, runtime: Runtime, account: CommandResult) -> None:
    events = [event("2", 1, "opened"), event("1", 2), event("2", 2), event("1", 3)]
    snapshots = runtime.append("t", events)

    assert [(found.entity_id, found.attrs.get("balance"), found.last_seq) for found in snapshots] == [
        ("2", 2, 2),
        ("1", 5, 3),
    ]
    assert list(store.snapshots("t")) == [snapshots[1], snapshots[0]]
    assert {(found.entity_id, found.seq) for found in stored(store)} == {
        ("1", 1),
        ("1", 2),
        ("1", 3),
        ("2", 1),
        ("2", 2),
    }
    assert check_store(store).ok


def test_execute_goes_on_from_there(runtime: Runtime, account: CommandResult) -> None:
    runtime.append("t", [event("1", 2)])

    result = runtime.execute("t", "Account", "1", "deposit", {"amount": 10}, actor="ann")
    assert (result.last_seq, result.snapshot.attrs["balance"]) == (3, 12)


def test_no_events(store: Store, runtime: Runtime) -> None:
    assert runtime.append("t", []) == ()
    assert store.head("t").count == 0


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([event("1", 2), event("1", 4)], "WRONG_SEQ"),
        ([event("1", 1)], "WRONG_SEQ"),
        ([event("1", 2), event("1", 3, "vanished")], "UNKNOWN_EVENT_TYPE"),
        ([event("1", 2), Event("t", "Konto", "1", 1, "opened", {}, 1, "ann")], "UNKNOWN_EVENT_TYPE"),
        ([event("1", 2), event("1", 1, tenant_id="u")], "TENANT_DIFFERS"),
    ],
)
def test_refused_events_leave_nothing(
    store: Store, runtime: Runtime, account: CommandResult, events: list[Event], code: str
) -> None:
    with pytest.raises(CicscError) as caught:
        runtime.append("t", events)

    assert caught.value.code == code
    assert stored(store) == list(account.events)
    assert list(store.snapshots("t")) == [account.snapshot]


def test_paused_tenant(store: Store, runtime: Runtime, account: CommandResult) -> None:
    store.pause("t", owner="ops", seconds=60)

    with pytest.raises(CicscError) as caught:
        runtime.append("t", [event("1", 2)])
    assert caught.value.code == "TENANT_PAUSED"


def test_too_many_events(store: Store, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "APPEND_EVENTS_MAX", 2)
    with pytest.raises(UsageError) as caught:
        runtime.append("t", (event("1", seq, "opened") for seq in (1, 2, 3)))

    assert caught.value.code == "TOO_MANY_EVENTS"
    assert store.head("t").count == 0


def nested(levels: int) -> object:
    value: object = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"payload": {"amount": float("nan")}}, "at 'payload.amount': expected a finite number, found nan"),
        ({"payload": {"amount": nested(127)}}, "expected at most 128 levels of nesting"),
        ({"payload": {"amount": 10**1000}}, "expected an integer of at most 1000 digits"),
        ({"payload": [1]}, "payload: expected an object, found an array"),
        ({"actor_id": "\ud800"}, "expected surrogates in pairs"),
        ({"ts": "5"}, "ts: expected an integer of at most 64 bits, found a string"),
        ({"extra": {"seq": 7}}, "an extra field has the name of a field of events"),
        ({"extra": [7]}, "its extra fields are no object"),
    ],
    ids=repr,
)
def test_what_could_not_be_read_again_is_not_written(
    store: Store, runtime: Runtime, account: CommandResult, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        runtime.append("t", [event("1", 2), msgspec.structs.replace(event("1", 3), **changes)])

    assert stored(store) == list(account.events)


def test_what_is_written_is_what_was_given_then(store: Store, runtime: Runtime, account: CommandResult) -> None:
    given = event("1", 2)
    given.payload["deep"] = nested(126)
    runtime.append("t", [given])

    assert stored(store)[1:] == [given]
    assert check_store(store).ok


def test_program_of_another_version(store: Store, account: CommandResult) -> None:
    old, current = Runtime(store, version=2), Runtime(store, version=3)

    with pytest.raises(FenceError, match="as version 2: expected the active version 3") as caught:
        old.append("t", [event("1", 2)])

    assert caught.value.code == "STALE_GENERATION"
    assert store.head("t").count == 1
    assert current.append("t", [event("1", 2)])[0].last_seq == 2
