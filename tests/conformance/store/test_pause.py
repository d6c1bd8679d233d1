from __future__ import annotations

import time

import pytest

from cicsc.errors import FenceError, UsageError
from cicsc.store.protocol import Store
from conformance.store.desk import Plain
from conformance.store.history import INSERT, add_tenant, append, columns, event, stored

WAIT_S_MAX = 10


def lapse(store: Store) -> None:
    """Wait until the lease has run out on the store's clock."""
    deadline = time.monotonic() + WAIT_S_MAX
    while store.gate("t").is_paused:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def code_of(act) -> str:
    with pytest.raises(FenceError) as caught:
        act()
    return caught.value.code


def test_pause_holds_writes(store: Store) -> None:
    gate = store.pause("t", owner="ann", seconds=60)

    assert (gate.state, gate.owner, gate.epoch, gate.is_paused) == ("paused", "ann", 2, True)
    assert store.gate("t").is_paused
    with pytest.raises(FenceError) as caught:
        append(store, event())
    assert caught.value.code == "TENANT_PAUSED"
    assert "'ann'" in caught.value.message
    assert str(gate.lease_until_ms) in caught.value.message


def test_lease_is_counted_from_the_stores_clock(store: Store) -> None:
    before = store.gate("t").clock_ms

    gate = store.pause("t", owner="ann", seconds=60.5, max_seconds=90)

    after = store.gate("t").clock_ms
    assert before + 60_500 <= gate.lease_until_ms <= after + 60_500
    assert gate.pause_deadline_ms - gate.lease_until_ms == 29_500


def test_pause_without_limit_ends_with_its_lease(store: Store) -> None:
    gate = store.pause("t", owner="ann", seconds=60)

    assert gate.pause_deadline_ms == gate.lease_until_ms


def test_resume_lets_writes_pass(store: Store) -> None:
    epoch = store.pause("t", owner="ann", seconds=60).epoch

    gate = store.resume("t", owner="ann", epoch=epoch)

    assert (gate.state, gate.owner, gate.epoch, gate.is_paused) == ("open", None, 3, False)
    assert (gate.lease_until_ms, gate.pause_deadline_ms) == (None, None)
    append(store, event())
    assert stored(store) == [event()]


@pytest.mark.parametrize("owner", ["ann", "bob"])
def test_paused_tenant_is_not_paused_again(store: Store, owner: str) -> None:
    gate = store.pause("t", owner="ann", seconds=60)

    with pytest.raises(FenceError) as caught:
        store.pause("t", owner=owner, seconds=120)

    assert caught.value.code == "GATE_HELD"
    assert caught.value.message.startswith("tenant 't' is paused by ")
    assert "'ann'" in caught.value.message
    after = store.gate("t")
    assert (after.epoch, after.owner, after.lease_until_ms) == (gate.epoch, "ann", gate.lease_until_ms)


@pytest.mark.parametrize(("owner", "by"), [("bob", 0), ("ann", 1), ("ann", -1), ("", 0)])
def test_gate_is_opened_by_its_owner_and_epoch_only(store: Store, owner: str, by: int) -> None:
    epoch = store.pause("t", owner="ann", seconds=60).epoch

    assert code_of(lambda: store.resume("t", owner=owner, epoch=epoch + by)) == "GATE_LOST"
    assert code_of(lambda: store.renew("t", owner=owner, epoch=epoch + by, seconds=1)) == "GATE_LOST"
    assert store.gate("t").is_paused


def test_resume_happens_once(store: Store) -> None:
    epoch = store.pause("t", owner="ann", seconds=60).epoch
    store.resume("t", owner="ann", epoch=epoch)

    assert code_of(lambda: store.resume("t", owner="ann", epoch=epoch)) == "GATE_LOST"
    assert store.gate("t").epoch == 3


def test_open_gate_cannot_be_resumed(store: Store) -> None:
    assert code_of(lambda: store.resume("t", owner="ann", epoch=1)) == "GATE_LOST"


def test_lease_that_ran_out_lets_writes_pass(store: Store, plain: Plain) -> None:
    store.pause("t", owner="ann", seconds=0.05)
    lapse(store)

    append(store, event(seq=1))
    plain.execute(INSERT, *columns(event(seq=2)))

    gate = store.gate("t")
    assert (gate.state, gate.owner, gate.is_paused) == ("paused", "ann", False)
    assert store.head("t").count == 2


def test_lease_that_ran_out_is_not_renewed(store: Store) -> None:
    epoch = store.pause("t", owner="ann", seconds=0.05, max_seconds=60).epoch
    lapse(store)

    assert code_of(lambda: store.renew("t", owner="ann", epoch=epoch, seconds=1)) == "GATE_LOST"


def test_owner_may_still_resume_after_its_lease(store: Store) -> None:
    epoch = store.pause("t", owner="ann", seconds=0.05).epoch
    lapse(store)

    assert store.resume("t", owner="ann", epoch=epoch).state == "open"


def test_tenant_may_be_taken_over_after_the_lease(store: Store) -> None:
    first = store.pause("t", owner="ann", seconds=0.05, max_seconds=60)
    lapse(store)

    second = store.pause("t", owner="bob", seconds=60)

    assert (second.owner, second.epoch) == ("bob", first.epoch + 1)
    assert code_of(lambda: store.resume("t", owner="ann", epoch=first.epoch)) == "GATE_LOST"
    assert code_of(lambda: store.renew("t", owner="ann", epoch=first.epoch, seconds=1)) == "GATE_LOST"
    assert code_of(lambda: append(store, event())) == "TENANT_PAUSED"


def test_renewed_lease_holds_longer(store: Store) -> None:
    first = store.pause("t", owner="ann", seconds=5, max_seconds=60)

    second = store.renew("t", owner="ann", epoch=first.epoch, seconds=30)

    assert (second.epoch, second.pause_deadline_ms) == (first.epoch, first.pause_deadline_ms)
    assert second.lease_until_ms - first.lease_until_ms >= 25_000
    assert second.lease_until_ms < second.pause_deadline_ms


def test_lease_never_passes_the_deadline(store: Store) -> None:
    epoch = store.pause("t", owner="ann", seconds=5, max_seconds=60).epoch

    gate = store.renew("t", owner="ann", epoch=epoch, seconds=3600)

    assert gate.lease_until_ms == gate.pause_deadline_ms


def test_other_tenants_stay_open(store: Store) -> None:
    add_tenant(store, "u")

    epoch = store.pause("t", owner="ann", seconds=60).epoch

    append(store, event(tenant_id="u"))
    assert code_of(lambda: store.resume("u", owner="ann", epoch=epoch)) == "GATE_LOST"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e9, 0.0001])
def test_length_of_a_pause_is_bounded(store: Store, seconds: float) -> None:
    with pytest.raises(UsageError) as pausing:
        store.pause("t", owner="ann", seconds=seconds)
    epoch = store.pause("t", owner="ann", seconds=60).epoch
    with pytest.raises(UsageError) as renewing:
        store.renew("t", owner="ann", epoch=epoch, seconds=seconds)

    assert {pausing.value.code, renewing.value.code} == {"DURATION_INVALID"}


def test_lease_longer_than_the_longest_pause_is_refused(store: Store) -> None:
    with pytest.raises(UsageError) as caught:
        store.pause("t", owner="ann", seconds=60, max_seconds=30)

    assert caught.value.code == "DURATION_INVALID"
    assert not store.gate("t").is_paused


def test_pause_and_resume_are_in_the_audit(store: Store) -> None:
    gate = store.pause("t", owner="ann", seconds=60)
    store.renew("t", owner="ann", epoch=gate.epoch, seconds=30)
    store.resume("t", owner="ann", epoch=gate.epoch)
    with pytest.raises(FenceError):
        store.resume("t", owner="ann", epoch=gate.epoch)

    entries = [(entry.actor_id, entry.action, entry.detail) for entry in store.audit("t")][1:]
    leases = {"lease_until_ms": gate.lease_until_ms, "pause_deadline_ms": gate.pause_deadline_ms}
    assert entries == [("ann", "pause", {"epoch": 2} | leases), ("ann", "resume", {"epoch": 3})]
