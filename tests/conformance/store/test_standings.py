"""How tenants stand: which run is told of each, and since when an operator has paused it."""

from __future__ import annotations

import time

import pytest

from cicsc.store.journal import exhaust
from cicsc.store.protocol import Store
from conformance.store.history import add_tenant, append, event
from conformance.store.running import begin, cut_over, run_in

WAIT_S_MAX = 10


@pytest.fixture(autouse=True)
def two_tenants(store: Store) -> None:
    add_tenant(store, "u")
    append(store, event())


def let_time_pass(store: Store) -> None:
    """Wait until the store's clock shows another millisecond."""
    deadline, begun = time.monotonic() + WAIT_S_MAX, store.gate("t").clock_ms
    while store.gate("t").clock_ms <= begun:
        assert time.monotonic() < deadline


def aborted(store: Store, run_id: str, tenant_id: str = "t") -> None:
    exhaust(store.runs.sweep(run_in(store, "ABORTED", run_id, tenant_id), lease_s=60))
    let_time_pass(store)


def told(store: Store) -> dict[str, str | None]:
    """The run that is told of each tenant, alone and among all."""
    found = {standing.gate.tenant_id: standing.run and standing.run.run_id for standing in store.runs.standings()}
    alone = [standing for name in found for standing in store.runs.standings(name)]
    assert {standing.gate.tenant_id: standing.run and standing.run.run_id for standing in alone} == found
    return found


def test_last_run_of_each_tenant_is_told(store: Store) -> None:
    aborted(store, "z")
    aborted(store, "a")
    assert told(store) == {"t": "a", "u": None}
    aborted(store, "m", "u")
    assert told(store) == {"t": "a", "u": "m"}

    begin(store, "b")

    assert told(store) == {"t": "b", "u": "m"}


def test_operator_with_the_name_of_a_run_elsewhere_is_not_taken_for_it(store: Store) -> None:
    aborted(store, "a")
    aborted(store, "ann", "u")

    store.pause("t", owner="ann", seconds=60)

    assert told(store) == {"t": "a", "u": "ann"}


def test_pause_by_hand_is_told_since_the_last_one_of_the_tenant(store: Store) -> None:
    first = store.pause("t", owner="ann", seconds=60)
    store.resume("t", owner="ann", epoch=first.epoch)
    let_time_pass(store)
    store.pause("t", owner="ann", seconds=60)
    let_time_pass(store)
    store.pause("u", owner="ann", seconds=60)
    store.record(tenant_id="t", actor_id="ann", action="note", detail={})

    told_ms = {standing.gate.tenant_id: standing.paused_ms for standing in store.runs.standings()}

    pauses = {name: [entry.at_ms for entry in store.audit(name) if entry.action == "pause"] for name in told_ms}
    assert pauses["t"][0] < pauses["t"][1] < pauses["u"][0]
    assert told_ms == {"t": pauses["t"][1], "u": pauses["u"][0]}


def test_pause_of_one_that_is_over_is_not_told(store: Store) -> None:
    gate = store.pause("t", owner="ann", seconds=60)
    store.resume("t", owner="ann", epoch=gate.epoch)
    cut_over(store)

    assert [standing.paused_ms for standing in store.runs.standings()] == [None, None]
