from __future__ import annotations

import pytest

from cicsc.errors import FenceError
from cicsc.replay.snapshot import Snapshot
from cicsc.store.check import LISTED_MAX, StoreCheck, check_store
from cicsc.store.protocol import Store
from conformance.store.desk import Desk, Plain
from conformance.store.history import INSERT, add_tenant, append, columns, event


def snapshot(entity_id: str, last_seq: int, *, total: object = 1, state: str = "new") -> Snapshot:
    return Snapshot("t", "Order", entity_id, state, {"total": total}, {}, 1_000, last_seq)


def codes(check: StoreCheck) -> dict[str, int]:
    assert check.ok == (check.counts == {})
    return dict(check.counts)


def test_empty_store_is_in_order(desk: Desk) -> None:
    with desk.initialised() as store:
        check = check_store(store)

    assert check.ok
    assert (check.tenants, check.events, check.snapshots) == (0, 0, 0)


def test_store_in_order(store: Store) -> None:
    add_tenant(store, "u")
    store.append(
        "t",
        [event("1", 1), event("1", 2, "paid"), event("2", 1), event("3", 1)],
        generation=1,
        snapshots=[snapshot("1", 1), snapshot("2", 1)],
    )
    append(store, event(tenant_id="u"))

    check = check_store(store)

    assert codes(check) == {}
    assert check.findings == ()
    assert (check.tenants, check.events, check.snapshots) == (2, 5, 2)


def test_one_tenant(store: Store) -> None:
    add_tenant(store, "u")
    append(store, event(tenant_id="u"))
    store.put_snapshots("t", [snapshot("1", 1)], generation=1)

    assert check_store(store, ["u"]).ok
    assert codes(check_store(store, ["t", "t"])) == {"SNAPSHOT_AHEAD": 1}


def test_unknown_tenant_is_refused(store: Store) -> None:
    with pytest.raises(FenceError) as caught:
        check_store(store, ["nobody"])

    assert caught.value.code == "UNKNOWN_TENANT"


@pytest.mark.parametrize(
    "wrong",
    [
        snapshot("1", 2, total=2, state="paid"),
        snapshot("1", 2),
        Snapshot("t", "Order", "1", "paid", {"total": 1}, {"late": 1}, 1_000, 2),
        Snapshot("t", "Order", "1", "paid", {"total": 1}, {}, 999, 2),
    ],
    ids=["attribute", "state", "shadow", "time"],
)
def test_snapshot_that_is_not_the_fold(store: Store, wrong: Snapshot) -> None:
    store.append("t", [event(seq=1), event(seq=2, event_type="paid")], generation=1, snapshots=[wrong])

    check = check_store(store)

    assert codes(check) == {"SNAPSHOT_DIFFERS": 1}
    (finding,) = check.findings
    assert (finding.tenant_id, finding.entity_type, finding.entity_id) == ("t", "Order", "1")


def test_snapshots_beyond_their_streams(store: Store) -> None:
    wrong = [snapshot(name, seq) for name, seq in (("0", 1), ("1", 2), ("3", 1), ("9", 1))]
    store.append("t", [event("1"), event("5")], generation=1, snapshots=wrong)

    check = check_store(store)

    assert codes(check) == {"SNAPSHOT_AHEAD": 4}
    assert [finding.entity_id for finding in check.findings] == ["0", "1", "3", "9"]
    assert check.snapshots == 4


def test_findings_are_listed_up_to_a_cap(store: Store) -> None:
    count = LISTED_MAX + 5
    store.put_snapshots("t", [snapshot(f"{number:02}", 1) for number in range(count)], generation=1)

    check = check_store(store)

    assert codes(check) == {"SNAPSHOT_AHEAD": count}
    assert [finding.entity_id for finding in check.findings] == [f"{number:02}" for number in range(LISTED_MAX)]


def test_fence_that_was_changed(desk: Desk, store: Store, plain: Plain) -> None:
    desk.drop_trigger(plain, "fence_insert")
    plain.execute(INSERT, *columns(event("1", 1, "unknown")))
    plain.execute(INSERT, *columns(event("2", 2)))

    check = check_store(store)

    assert codes(check) == {"FENCE_CHANGED": 1, "NO_REDUCER": 1, "SEQUENCE_BROKEN": 1}
    fence, reducer, sequence = check.findings
    assert "fence_insert" in fence.message
    assert (reducer.code, reducer.entity_id) == ("NO_REDUCER", "1")
    assert (sequence.code, sequence.entity_id) == ("SEQUENCE_BROKEN", "2")


def test_event_that_cannot_be_read(store: Store, plain: Plain) -> None:
    add_tenant(store, "u")
    plain.execute(INSERT, *columns(event(), payload='{"a": 1, "a": 2}'))
    append(store, event(tenant_id="u"))

    check = check_store(store)

    assert codes(check) == {"EVENT_UNREADABLE": 1}
    assert check.findings[0].tenant_id == "t"
    assert check.events == 1


def test_bundle_that_cannot_be_read(store: Store, plain: Plain) -> None:
    plain.execute("update {bundle} set body = '{}'")

    assert codes(check_store(store))["BUNDLE_UNREADABLE"] == 1
