from __future__ import annotations

import pytest

from cicsc.errors import FenceError, StoreError, UsageError
from cicsc.store.postgres.store import PostgresStore
from cicsc.store.protocol import Store
from cicsc.store.records import RunPlan
from conformance.store.desk import Desk
from conformance.store.history import add_tenant, append, event, stored


def load(store: Store, *events, generation: int = 1) -> int:
    return store.import_events("t", iter(events), generation=generation, actor_id="ann")


def test_import_writes_events(store: Store) -> None:
    events = [event(str(index), seq) for index in range(10) for seq in range(1, 6)]

    assert load(store, *events) == 50

    assert stored(store) == events
    assert store.head("t").count == 50


def test_import_of_nothing(store: Store) -> None:
    assert load(store) == 0
    assert store.head("t").count == 0


def test_import_goes_on_after_events_that_are_there(store: Store) -> None:
    append(store, event(seq=1))

    load(store, event(seq=2), event(seq=3))

    assert [found.seq for found in stored(store)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (event("9", 2), "WRONG_SEQ"),
        (event("1", 1), "WRONG_SEQ"),
        (event("9", event_type="unknown"), "UNKNOWN_EVENT_TYPE"),
    ],
    ids=["gap", "again", "unknown type"],
)
def test_import_is_all_or_nothing(store: Store, bad, code: str) -> None:
    with pytest.raises(FenceError) as caught:
        load(store, event("1"), event("2"), bad)

    assert caught.value.code == code
    assert stored(store) == []
    assert [entry.action for entry in store.audit("t")] == ["tenant-create", "import-begin", "import-abort"]
    (run,) = store.runs.of_tenant("t")
    assert (run.kind, run.phase, run.actor_id) == ("import", "ABORTED", "ann")
    assert store.gate("t").owner is None


def test_import_into_another_generation_is_refused(store: Store) -> None:
    with pytest.raises(FenceError) as caught:
        load(store, event(), generation=2)

    assert caught.value.code == "STALE_GENERATION"


def test_import_into_a_paused_tenant_is_refused(store: Store) -> None:
    store.pause("t", owner="ann", seconds=60)

    with pytest.raises(FenceError) as caught:
        load(store, event())

    assert caught.value.code == "TENANT_PAUSED"
    assert stored(store) == []


def test_import_of_another_tenants_event_is_refused(store: Store) -> None:
    add_tenant(store, "u")

    with pytest.raises(UsageError) as caught:
        load(store, event(), event(tenant_id="u"))

    assert caught.value.code == "TENANT_DIFFERS"
    assert (stored(store, "t"), stored(store, "u")) == ([], [])


def test_error_of_the_source_leaves_nothing(store: Store) -> None:
    def broken():
        yield from (event(str(index)) for index in range(100))
        raise LookupError("the source broke")

    with pytest.raises(LookupError, match="the source broke"):
        store.import_events("t", broken(), generation=1, actor_id="ann")

    assert stored(store) == []
    assert load(store, event()) == 1


def test_import_is_in_the_audit_and_the_journal(store: Store) -> None:
    load(store, event("1"), event("2"))

    (run,) = store.runs.of_tenant("t")
    last = list(store.audit("t"))[-1]
    assert (last.action, last.actor_id) == ("import-end", "ann")
    assert last.detail == {"run": run.run_id, "generation": 1, "count": 2}
    assert (run.phase, run.source_generation, store.gate("t").owner) == ("DONE", 1, None)


def test_import_while_a_run_has_the_tenant_is_refused(store: Store) -> None:
    store.runs.begin("t", "r1", RunPlan("cutover", "bob"), lease_s=60)

    with pytest.raises(FenceError) as caught:
        load(store, event())

    assert caught.value.code == "RUN_HELD"
    assert "'bob'" in caught.value.message
    assert stored(store) == []


def test_import_that_is_taken_over_writes_nothing(store: Store, desk: Desk) -> None:
    def taken_over():
        yield event("1")
        if desk.one_writer:  # nobody can come between there
            raise LookupError
        (run,) = store.runs.of_tenant("t")
        with PostgresStore(desk.url, wait_s=0.2) as other, pytest.raises(StoreError, match="writes under way"):
            other.runs.claim("t", run.run_id, lease_s=60, actor_id="bob", epoch=run.epoch)
        raise LookupError

    with pytest.raises(LookupError):
        store.import_events("t", taken_over(), generation=1, actor_id="ann")

    assert stored(store) == []
