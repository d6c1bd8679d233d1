"""Dropping old generations: on request, when the active one is in order, of this tenant alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cicsc.operations.live import finalize as finalizing
from cicsc.operations.live.change import Terms
from cicsc.operations.live.cutover import Order, cut_over
from cicsc.operations.live.finalize import finalize_tenant
from cicsc.operations.stored_streams import require_seen
from cicsc.store import runs
from cicsc.store.check import check_store
from cicsc.store.protocol import Store
from cicsc.store.records import RunPlan
from conformance.operations.application import V2, add
from conformance.store.desk import Desk
from conformance.store.history import INSERT, stored

NOTHING_REPLAYS_IT = ("'t'", 2, "'Order'", "'9'", 1, "'gift'", "'{}'", 1, "'eve'")

KEEPS = {
    False: [
        "create trigger keeps before delete on {table} begin select raise(ignore); end",
    ],
    True: [
        "create function public.keeps() returns trigger language plpgsql as 'begin return null; end'",
        "create trigger keeps before delete on {table} for each row execute function public.keeps()",
    ],
}
"""What has a store without sessions, and one with them, keep rows that are deleted."""

SNAPSHOT = (
    "insert into {snapshot} (tenant_id, generation, entity_type, entity_id, state, attrs, shadows, updated_ts, last_seq)"
    " values ('t', 1, 'Order', '1', 'open', '{{}}', '{{}}', 1, 1)"
)


@pytest.fixture
def tenants(desk: Desk) -> Iterator[Store]:
    """A store with two tenants that were cut over."""
    with desk.initialised() as store:
        for name in ("t", "u"):
            add(store, name)
            report = cut_over(store, name, Order(target=V2, migration="to_2", operator="ann", execute=True))
            assert report.ok, report.error
        yield store


def finalize(store: Store, *, execute: bool = True):
    return finalize_tenant(store, "t", Terms(operator="bob", execute=execute))


def test_old_generations_of_the_tenant_are_dropped(tenants: Store) -> None:
    active, other = stored(tenants), stored(tenants, "u", 1)

    report = finalize(tenants)

    assert (report.ok, report.outcome, report.mutated) == (True, "dropped", True)
    assert [(found.generation, found.events) for found in report.generations] == [(1, 5)]
    assert (tenants.runs.generations("t"), stored(tenants)) == ([2], active)
    assert (tenants.runs.generations("u"), stored(tenants, "u", 1)) == ([1, 2], other)
    assert [(run.kind, run.phase) for run in tenants.runs.of_tenant("t")][-1] == ("finalize", "DONE")
    assert tenants.gate("t").owner is None
    assert check_store(tenants).ok


def test_small_steps_drop_all(tenants: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "REMOVE_ROWS_MAX", 2)

    report = finalize(tenants)

    assert report.rows_removed == 5
    assert tenants.runs.generations("t") == [2]


def test_rehearsal_changes_nothing(tenants: Store) -> None:
    report = finalize(tenants, execute=False)

    assert (report.outcome, report.mutated, report.rows_removed) == ("rehearsed", False, 0)
    assert tenants.runs.generations("t") == [1, 2]


def test_nothing_to_drop_is_no_error(tenants: Store) -> None:
    finalize(tenants)

    assert finalize(tenants).outcome == "nothing"


def test_tenant_that_a_run_has_is_left_alone(tenants: Store) -> None:
    tenants.runs.begin("t", "r", RunPlan("cutover", "carol"), lease_s=60)

    reports = [finalize(tenants, execute=execute) for execute in (False, True)]

    assert [(found.outcome, found.error["code"]) for found in reports] == [("refused", "RUN_HELD")] * 2
    assert tenants.runs.generations("t") == [1, 2]


def test_tenants_are_each_by_themselves(tenants: Store) -> None:
    tenants.runs.begin("t", "r", RunPlan("cutover", "carol"), lease_s=60)

    report = finalizing.finalize(tenants, execute=True)

    assert (report.ok, report.exit_code, report.not_begun) == (False, 1, [])
    assert [(found.outcome, found.exit_code) for found in report.tenants] == [("refused", 1), ("dropped", 0)]
    assert (report.rows_removed, tenants.runs.generations("t"), tenants.runs.generations("u")) == (5, [1, 2], [2])


def test_fence_that_is_not_in_order_keeps_everything(tenants: Store, desk: Desk) -> None:
    with desk.plain() as writer:
        desk.drop_trigger(writer, "fence_update")

    report = finalize(tenants)

    assert (report.outcome, report.error["code"]) == ("refused", "NOT_VERIFIED")
    assert "fence_update" in report.error["message"]
    assert (tenants.runs.generations("t"), tenants.gate("t").owner) == ([1, 2], None)


@pytest.mark.parametrize(
    ("trigger", "statement", "found"),
    [
        ("fence_delete", "delete from {event} where generation = 2 and entity_id = '1' and seq = 1", "1 SEQ_GAP"),
        ("fence_insert", INSERT.replace("?", "%s") % NOTHING_REPLAYS_IT, "'gift'"),
    ],
    ids=["a gap", "an event without a reducer"],
)
def test_history_that_is_not_in_order_keeps_everything(
    tenants: Store, desk: Desk, trigger: str, statement: str, found: str
) -> None:
    with desk.plain() as writer:
        desk.drop_trigger(writer, trigger)
        writer.execute(statement)
    assert not tenants.reinstall_fence(actor_id="ann").left

    reports = [finalize(tenants, execute=execute) for execute in (False, True)]

    assert [(report.outcome, report.error["code"]) for report in reports] == [("refused", "NOT_VERIFIED")] * 2
    assert found in reports[0].error["message"]
    assert (tenants.runs.generations("t"), tenants.gate("t").owner) == ([1, 2], None)


@pytest.mark.parametrize(
    ("table", "stays"), [("event", "5 events of generation 1"), ("snapshot", "snapshots of generation 1")]
)
def test_what_a_trigger_of_others_keeps_is_named(
    tenants: Store, desk: Desk, monkeypatch: pytest.MonkeyPatch, table: str, stays: str
) -> None:
    def in_order(*seen: object) -> None:
        require_seen(*seen)
        with desk.plain() as other:
            other.execute(SNAPSHOT)
            for statement in KEEPS[tenants.has_sessions]:
                other.execute(statement.format(table=f"{{{table}}}"))

    monkeypatch.setattr(finalizing, "require_seen", in_order)  # only here would nobody look for it any more

    report = finalize(tenants)

    assert (report.ok, report.outcome, report.error["code"]) == (False, "failed", "STORE_FAILED")
    assert report.error["message"].endswith(f": {stays} stayed when they were removed")
    assert (tenants.runs.generations("t"), tenants.gate("t").state, tenants.gate("t").owner) == ([1, 2], "open", None)
