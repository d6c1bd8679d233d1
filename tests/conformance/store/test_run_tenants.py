"""Runs of two tenants never touch each other, whatever the tenants are called."""

from __future__ import annotations

import pytest

from cicsc.replay.snapshot import Snapshot
from cicsc.store.journal import exhaust
from cicsc.store.protocol import Store
from cicsc.store.records import Phase
from conformance.store.desk import Desk, Plain
from conformance.store.history import INSERT, add_tenant, append, columns, event, stored
from conformance.store.running import STEPS, begin, code_of, cut_over, dump, outlive, placed, run_in
from conformance.store.test_runs import ALLOWED

HOSTILE = (
    "",
    " ",
    "t ",
    "T",
    "' or '1' = '1",
    "t'; delete from event; --",
    'a"b',
    "%s %(tenant_id)s :tenant_id ?1",
    "\\",
    "..\\/etc",
    "line\nfeed\ttab",
    "é",
    "e\u0301",
    "\U0001d54f\u202e",
    "null",
    "{event}",
    "x" * 1_000,
)

ALL_STEPS: list[tuple[str, Phase]] = [(step, phase) for step in STEPS for phase in ALLOWED[step]]


def of_tenant(plain: Plain, tenant_id: str) -> dict[str, list[tuple[object, ...]]]:
    """What is in the tables about a tenant."""
    tables = ("tenant", "gate", "event", "snapshot", "command", "cutover", "audit")
    return {
        table: sorted(plain.execute(f"select * from {{{table}}} where tenant_id = ?", tenant_id), key=repr)
        for table in tables
    }


def snapshot(tenant_id: str = "t", entity_id: str = "1") -> Snapshot:
    return Snapshot(tenant_id, "Order", entity_id, "new", {"total": 1}, {}, 1_000, 1)


@pytest.mark.parametrize(("step", "phase"), ALL_STEPS)
def test_step_touches_one_tenant(store: Store, plain: Plain, step: str, phase: Phase) -> None:
    append(store, event(seq=1), event(seq=2, event_type="paid"))
    run = run_in(store, phase, snapshots=[snapshot()])
    add_tenant(store, "u")
    append(store, event(tenant_id="u"), event(seq=2, tenant_id="u"))
    store.put_snapshots("u", [snapshot("u")], generation=1)
    run_in(store, "STAGED", "r2", "u", snapshots=[snapshot("u")])
    before = of_tenant(plain, "u")

    STEPS[step](store, run)

    assert of_tenant(plain, "u") == before


def test_sweep_removes_what_its_run_staged(store: Store, plain: Plain) -> None:
    add_tenant(store, "u")
    append(store, event())
    append(store, event(tenant_id="u"))
    store.put_snapshots("t", [snapshot()], generation=1)
    run_in(store, "DONE", snapshots=[snapshot()])
    other = run_in(store, "STAGED", "r2", "u", snapshots=[snapshot("u")])
    kept = "select * from {event} where tenant_id = 't'", "select * from {snapshot} where tenant_id = 't'"
    mine = [sorted(plain.execute(query), key=repr) for query in kept]
    run = run_in(store, "ABORTED", "r3", snapshots=[snapshot(), snapshot(entity_id="2")])
    assert run.target_generation == 3
    before = of_tenant(plain, "u")

    removed = list(store.runs.sweep(run, lease_s=60))

    assert removed == [1, 2]
    assert [len(rows) for rows in mine] == [2, 2]
    assert [sorted(plain.execute(query), key=repr) for query in kept] == mine
    assert (store.runs.generations("t"), store.runs.generations("u")) == ([1, 2], [1, 2])
    assert of_tenant(plain, "u") == before
    assert store.runs.switch(other).phase == "SWITCHED"


def test_large_staging_is_removed_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicsc.store.runs.REMOVE_ROWS_MAX", 40)
    rows = [row for number in range(100) for row in placed(event(f"{number:03}"), position=number + 1)]
    run = run_in(store, "ABORTED", rows=rows)

    assert list(store.runs.sweep(run, lease_s=60)) == [40, 40, 20]


def test_snapshots_of_a_large_staging_are_removed_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicsc.store.runs.REMOVE_ROWS_MAX", 2)
    store.put_snapshots("t", [snapshot(entity_id=name) for name in "abc"], generation=1)
    run = run_in(store, "ABORTED", rows=[], snapshots=[snapshot(entity_id=name) for name in "abcde"])

    assert list(store.runs.sweep(run, lease_s=60)) == [2, 2, 1]
    assert [found.entity_id for found in store.snapshots("t")] == ["a", "b", "c"]


def test_sweep_goes_on_where_it_stopped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicsc.store.runs.REMOVE_ROWS_MAX", 40)
    rows = [row for number in range(100) for row in placed(event(f"{number:03}"), position=number + 1)]
    run = run_in(store, "ABORTED", rows=rows)
    next(store.runs.sweep(run, lease_s=0.02))
    outlive(store, store.runs.run("t", "r1"))

    claimed = store.runs.claim("t", "r1", lease_s=60, actor_id="bob")

    assert list(store.runs.sweep(claimed, lease_s=60)) == [40, 20]
    assert (store.runs.generations("t"), store.gate("t").owner) == ([], None)


@pytest.mark.parametrize("phase", ["PLANNED", "FENCED", "STAGED", "SWITCHED", "ABORTED"])
def test_other_tenants_write_on(store: Store, plain: Plain, phase: Phase) -> None:
    add_tenant(store, "u")
    run_in(store, phase)

    append(store, event(tenant_id="u"))
    plain.execute(INSERT, *columns(event(seq=2, tenant_id="u")))

    assert store.head("u").count == 2
    assert begin(store, "r2", "u").phase == "PLANNED"


def test_run_of_one_tenant_is_nothing_to_another(store: Store, plain: Plain) -> None:
    add_tenant(store, "u")
    run = run_in(store, "STAGED")
    before = dump(plain)

    assert code_of(lambda: store.runs.run("u", "r1")) == "UNKNOWN_RUN"
    assert code_of(lambda: store.runs.claim("u", "r1", lease_s=9, actor_id="b", epoch=run.epoch)) == "UNKNOWN_RUN"
    assert (store.runs.holder("u"), store.runs.of_tenant("u")) == (None, [])
    assert dump(plain) == before


# ---------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_name_of_a_tenant_is_only_a_name(store: Store, plain: Plain, name: str) -> None:
    append(store, event(seq=1), event(seq=2, event_type="paid"))
    store.put_snapshots("t", [snapshot()], generation=1)
    run_in(store, "STAGED", snapshots=[snapshot()])
    add_tenant(store, name)
    append(store, event(tenant_id=name), event(seq=2, event_type="paid", tenant_id=name))
    before = of_tenant(plain, "t")

    cut_over(store, "r2", name)
    exhaust(store.runs.sweep(run_in(store, "ABORTED", "r3", name, snapshots=[snapshot(name)]), lease_s=60))
    claimed = store.runs.claim(name, "r4", lease_s=60, actor_id="b", epoch=begin(store, "r4", name).epoch)
    exhaust(store.runs.sweep(claimed, lease_s=60))

    assert of_tenant(plain, "t") == before
    assert [found.event_type for found in stored(store, name)] == ["created", "settled"]
    assert store.runs.generations(name) == [1, 2]
    assert [run.run_id for run in store.runs.of_tenant(name)] == ["r2", "r3", "r4"]


def test_name_with_nul(desk: Desk, store: Store, plain: Plain) -> None:
    if not desk.keeps_nul:
        return  # refused when the tenant is created, as test_values shows
    for name in ("t\0", "\0", "t\0u"):
        add_tenant(store, name)
        append(store, event(tenant_id=name))
        cut_over(store, f"run of {name!r}", name)

    assert store.head("t").count == 0
    assert [store.gate(name).active_generation for name in ("t", "t\0", "\0", "t\0u")] == [1, 2, 2, 2]


@pytest.mark.parametrize("run_id", ["' or '1' = '1", "", "%s", "x" * 1_000, "e\u0301"], ids=ascii)
def test_name_of_a_run_is_only_a_name(store: Store, run_id: str) -> None:
    append(store, event())
    cut_over(store, run_id)
    exhaust(store.runs.sweep(run_in(store, "ABORTED", run_id + "2"), lease_s=60))

    assert [run.phase for run in store.runs.of_tenant("t")] == ["DONE", "ABORTED"]
