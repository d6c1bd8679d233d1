"""Rollback of a live tenant: by reactivation, through the inverse, or refused with every reason."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator

import msgspec
import pytest

from cicsc.bundle.load import load_bundle
from cicsc.errors import RefusedError
from cicsc.history.model import Event
from cicsc.operations.live import rollback
from cicsc.operations.live.binding import digest_of
from cicsc.operations.live.change import Terms
from cicsc.operations.live.cutover import Order, cut_over
from cicsc.operations.live.finalize import finalize_tenant
from cicsc.operations.live.rollback import RollbackOrder, TenantRollback, roll_back_tenant
from cicsc.operations.live.run import LiveRun, Timing
from cicsc.store.check import check_store
from cicsc.store.protocol import Store
from cicsc.store.records import RunPlan
from conformance.operations.application import DECLARED, MAPPED, V1, V2, add
from conformance.store.desk import Desk, Plain
from conformance.store.history import event, stored

TIMING = Timing(lease_s=60, max_pause_s=60)


@pytest.fixture
def tenants(desk: Desk) -> Iterator[Store]:
    """A store with two tenants on version 1, 't' and the hostile one."""
    with desk.initialised() as store:
        add(store, "t")
        add(store, HOSTILE)
        yield store


HOSTILE = "'; drop table event; --"


def forward(store: Store, target=V2, tenant_id: str = "t") -> None:
    report = cut_over(store, tenant_id, Order(target=target, migration="to_2", operator="ann", execute=True))
    assert report.ok, report.error


def back(store: Store, *, execute: bool = True, tenant_id: str = "t", source=None):
    order = RollbackOrder(migration="to_2", operator="bob", execute=execute, timing=TIMING, source=source)
    return roll_back_tenant(store, tenant_id, order)


def everything(store: Store, tenant_id: str = "t") -> list[tuple[object, ...]]:
    """All that is kept of a tenant's events, in every generation, with their places."""
    rows = []
    with store.reading(tenant_id) as reading:
        for generation in store.runs.generations(tenant_id):
            rows += [(generation, *row) for row in reading.rows(generation)]
    return rows


def active_rows(store: Store, tenant_id: str = "t") -> list[tuple[object, ...]]:
    with store.reading(tenant_id) as reading:
        return list(reading.rows())


@pytest.mark.parametrize("tenant_id", ["t", HOSTILE])
@pytest.mark.parametrize("target", [V2, MAPPED], ids=["renamed", "payload mapped"])
def test_without_new_events_the_old_generation_is_active_again(tenants: Store, target, tenant_id: str) -> None:
    before = active_rows(tenants, tenant_id)
    forward(tenants, target, tenant_id)

    report = back(tenants, tenant_id=tenant_id)

    assert (report.ok, report.outcome, report.method) == (True, "switched", "reactivate")
    assert active_rows(tenants, tenant_id) == before
    gate = tenants.gate(tenant_id)
    assert (gate.active_bundle, gate.active_version, gate.owner, gate.is_paused) == (V1.digest, 1, None, False)
    assert (report.active_version, report.tenant_paused, report.mutated, report.rolled_back_events) == (
        1,
        False,
        True,
        5,
    )
    assert check_store(tenants).ok


def test_boundaries_come_in_order(tenants: Store) -> None:
    forward(tenants)

    found = back(tenants).boundaries

    assert found.paused_at <= found.verified_at <= found.switched_at == found.resumed_at


def test_new_events_go_back_through_the_inverse(tenants: Store) -> None:
    before = active_rows(tenants)
    forward(tenants)
    tenants.append("t", [event("2", 2, "settled"), event("9", 1)], generation=2)

    report = back(tenants)

    assert (report.ok, report.method, report.rolled_back_events) == (True, "inverse", 7)
    rows = active_rows(tenants)
    assert [row for row in rows if row[:2] in {old[:2] for old in before}] == before  # at the places they always had
    assert [(found.entity_id, found.seq, found.event_type) for found in stored(tenants)] == [
        ("1", 1, "created"), ("1", 2, "paid"), ("2", 1, "created"), ("2", 2, "paid"), ("3", 1, "created"),
        ("3", 2, "paid"), ("9", 1, "created"),
    ]  # fmt: skip
    assert tenants.gate("t").active_generation == 3
    assert check_store(tenants).ok
    tenants.append("t", [event("9", 2, "paid")], generation=3)


def test_digest_of_the_way_back_is_that_of_the_history(tenants: Store) -> None:
    forward(tenants)
    tenants.append("t", [event("9", 1)], generation=2)
    given = digest_of(tenants.streams("t"))

    report = back(tenants)

    assert report.source_digest == given[1]
    assert report.rolled_back_digest == digest_of(tenants.streams("t"))[1]


def test_every_obstacle_is_named_and_nothing_changed(tenants: Store) -> None:
    forward(tenants)
    tenants.append("t", [event("2", 2, "audited"), event("2", 3, "audited")], generation=2)
    before, gate = everything(tenants), tenants.gate("t")

    report = back(tenants)

    assert (report.ok, report.outcome, report.exit_code, report.mutated) == (False, "refused", 1, False)
    assert report.error["code"] == "ROLLBACK_UNSAFE"
    assert report.reasons == ["no source event type for 'audited' of entity type 'Order': 2 events have no way back"]
    assert everything(tenants) == before
    assert (tenants.gate("t").active_generation, tenants.gate("t").owner) == (gate.active_generation, None)
    assert report.error["hint"].endswith("keep the migrated history: the version before cannot hold what is named")
    assert report.boundaries.paused_at is None  # what fails with the tenant open never pauses it


def test_mapped_payload_with_new_events_has_no_way_back(tenants: Store) -> None:
    forward(tenants, MAPPED)
    tenants.append("t", [event("9", 1)], generation=2)

    report = back(tenants)

    assert (report.outcome, report.reasons) == ("refused", ["payload_map on 'created'"])
    assert report.error["hint"].endswith("an inverse has to be declared before the cutover")


def test_rehearsal_tells_the_method_and_changes_nothing(tenants: Store) -> None:
    forward(tenants)
    runs = len(tenants.runs.of_tenant("t"))

    reports = [back(tenants, execute=False)]
    tenants.append("t", [event("9", 1)], generation=2)
    before, gate = everything(tenants), tenants.gate("t").epoch
    reports.append(back(tenants, execute=False))

    assert [(found.outcome, found.method) for found in reports] == [
        ("rehearsed", "reactivate"),
        ("rehearsed", "inverse"),
    ]
    assert (everything(tenants), tenants.gate("t").epoch, len(tenants.runs.of_tenant("t"))) == (before, gate, runs)


@pytest.mark.parametrize("execute", [False, True])
def test_changed_fence_is_refused_and_pauses_nobody(tenants: Store, desk: Desk, plain: Plain, execute: bool) -> None:
    forward(tenants)
    desk.weaken_fence(plain)

    report = back(tenants, execute=execute)

    assert (report.outcome, report.error["code"], report.boundaries.paused_at) == ("refused", "FENCE_CHANGED", None)
    assert tenants.gate("t").owner is None


def test_tenant_that_an_operator_paused_is_left_alone(tenants: Store) -> None:
    forward(tenants)
    tenants.pause("t", owner="carol", seconds=60)

    reports = [back(tenants, execute=execute) for execute in (False, True)]

    assert [found.error["code"] for found in reports] == ["GATE_HELD", "GATE_HELD"]
    assert (tenants.gate("t").owner, tenants.gate("t").is_paused) == ("carol", True)


def test_tenant_that_another_run_has_is_refused_with_and_without_execute(tenants: Store) -> None:
    forward(tenants)
    run = tenants.runs.begin("t", "r1", RunPlan("cutover", "carol"), lease_s=60)

    reports = [back(tenants, execute=execute) for execute in (False, True)]

    assert [(found.outcome, found.error["code"]) for found in reports] == [("refused", "RUN_HELD")] * 2
    assert tenants.runs.holder("t") == run


def test_event_that_comes_before_the_fence_is_not_lost(tenants: Store) -> None:
    forward(tenants)
    change = TenantRollback(tenants, "t", RollbackOrder(migration="to_2", operator="bob", execute=True))
    change.look()
    change._live = LiveRun.begin(tenants, "t", change.run_plan(), TIMING, run_id=change._run_id)
    change.open_check()
    tenants.append("t", [event("9", 1)], generation=2)
    change.pause()

    with pytest.raises(RefusedError, match="while the rollback began"):
        change.verify_and_write()

    change.live.end("refused")
    change.live.sweep("{}")
    assert [found.entity_id for found in stored(tenants)][-1] == "9"
    assert back(tenants).method == "inverse"


def test_kept_generation_that_was_changed_under_the_fence_is_not_made_active(
    tenants: Store, desk: Desk, plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward(tenants)

    def meddle(_: TenantRollback) -> None:
        desk.drop_trigger(plain, "fence_update")
        plain.execute("update {event} set payload = '{}' where tenant_id = 't' and generation = 1 and seq = 2")
        tenants.reinstall_fence(actor_id="eve")

    *before, read_back, switch = TenantRollback.steps
    monkeypatch.setattr(TenantRollback, "steps", (*before, meddle, read_back, switch))

    report = back(tenants)

    assert (report.ok, report.error["code"], report.active_version) == (False, "STAGING_DIFFERS", 2)
    assert (report.tenant_paused, tenants.gate("t").owner) == (False, None)


def test_dropped_generation_leaves_the_inverse(tenants: Store) -> None:
    forward(tenants)
    assert finalize_tenant(tenants, "t", Terms(operator="ann", execute=True)).outcome == "dropped"

    assert back(tenants).method == "inverse"


def test_dropped_generation_of_a_mapped_payload_leaves_nothing(tenants: Store) -> None:
    forward(tenants, MAPPED)
    finalize_tenant(tenants, "t", Terms(operator="ann", execute=True))

    assert back(tenants).reasons == ["payload_map on 'created'"]


def test_misspelled_inverse_is_named_in_the_hint(tenants: Store) -> None:
    document = copy.deepcopy(dict(MAPPED.document))
    document["core_ir"]["migrations"]["to_2"]["inverse"] = {"event_transforms": {"craeted": {"emit_as": "created"}}}
    forward(tenants, load_bundle(document))
    finalize_tenant(tenants, "t", Terms(operator="ann", execute=True))

    report = back(tenants)

    assert report.reasons == ["payload_map on 'created'"]
    assert "event type 'craeted' has a transform in the inverse" in report.error["hint"]


@pytest.mark.parametrize("finalized", [False, True])
def test_inverse_that_loses_what_was_there_before_is_refused(tenants: Store, finalized: bool) -> None:
    forward(tenants, DECLARED)  # the payload of '2' has a note
    tenants.append("t", [event("9", 1, payload={"total": 1})], generation=2)
    if finalized:
        finalize_tenant(tenants, "t", Terms(operator="ann", execute=True))
    before = everything(tenants)

    reports = [back(tenants, execute=execute) for execute in (False, True)]

    for report in reports:
        assert (report.outcome, len(report.reasons)) == ("refused", 1)
        assert report.reasons[0].startswith("the inverse does not give back the 5 events of before the cutover: expec")
        assert report.error["hint"].endswith("or the inverse does not restore it")
    assert everything(tenants) == before


def test_inverse_that_restores_all_is_taken(tenants: Store) -> None:
    plain = [event("1", 1, payload={"total": 2}), event("1", 2, "paid"), event("2", 1, payload={"total": None})]
    add(tenants, "plain", events=plain)
    before = active_rows(tenants, "plain")
    forward(tenants, DECLARED, "plain")
    new = event("9", 1, payload={"total": 1})
    tenants.append("plain", [Event("plain", *msgspec.structs.astuple(new)[1:])], generation=2)

    report = back(tenants, tenant_id="plain")

    assert (report.ok, report.method, report.rolled_back_events) == (True, "inverse", 4)
    assert active_rows(tenants, "plain")[:3] == before


def test_event_that_the_inverse_does_not_restore_is_named(tenants: Store) -> None:
    forward(tenants, DECLARED)
    tenants.append("t", [event("9", 1, payload={"sum": 1})], generation=2)

    reasons = back(tenants).reasons

    assert "the round trip does not restore 1 event" in reasons[0]
    assert reasons[1].startswith("the inverse does not give back the 5 events")


def test_tenant_that_was_never_cut_over_needs_its_bundle_before(tenants: Store) -> None:
    add(tenants, "new", V2, 2, [event("1", 1), event("1", 2, "settled")])

    unknown = back(tenants, tenant_id="new", execute=False)
    known = back(tenants, tenant_id="new", source=V1)

    assert unknown.reasons == ["the tenant's journal has no cutover by 'to_2', so the bundle before it is not known"]
    assert unknown.error["hint"].endswith("give the bundle before the migration with --from")
    assert (known.ok, known.method, known.active_version) == (True, "inverse", 1)


@pytest.mark.parametrize("new", [[], [event("9", 1)]], ids=["reactivate", "inverse"])
def test_another_bundle_than_the_journal_knows_is_refused(tenants: Store, new: list[Event]) -> None:
    forward(tenants)
    tenants.append("t", new, generation=2)

    for execute in (False, True):
        report = back(tenants, execute=execute, source=V2)
        assert report.reasons == [
            f"the --from bundle is not the one before 'to_2': expected digest {V1.digest}, found {V2.digest}"
        ]
        assert "leave --from out" in report.error["hint"]
    assert (report.outcome, report.exit_code, tenants.gate("t").active_version) == ("refused", 1, 2)
    assert back(tenants, source=V1).ok


def test_migration_that_leads_to_another_version_is_refused(tenants: Store) -> None:
    document = copy.deepcopy(dict(V2.document))
    del document["bundle_version"]
    add(tenants, "further", load_bundle(document), 3, [event("1", 1), event("1", 2, "settled")])

    unknown = back(tenants, tenant_id="further")
    known = back(tenants, tenant_id="further", source=V1)

    elsewhere = "the migration leads to version 2, the tenant is on version 3"
    assert (unknown.reasons[0], known.reasons) == (elsewhere, [elsewhere])
    assert "the tenant is on version 3, and only the migration that led there" in known.error["hint"]
    assert tenants.gate("further").active_version == 3


def test_bundle_of_another_version_than_before_is_refused(tenants: Store) -> None:
    add(tenants, "new", V2, 2, [event("1", 1)])
    older = load_bundle({**V1.document, "bundle_version": 0})

    report = back(tenants, tenant_id="new", source=older)

    assert report.reasons == ["the source bundle is version 0, the migration expects 1"]
    assert report.error["hint"].endswith("give the bundle before the migration with --from")


def test_reactivation_is_predicted_from_the_one_reading_that_it_takes(
    tenants: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward(tenants)
    ticks = itertools.count()
    monkeypatch.setattr(rollback, "monotonic", lambda: float(next(ticks)))  # each look takes a second

    reactivated = back(tenants, execute=False)
    tenants.append("t", [event("9", 1)], generation=2)
    inverted = back(tenants, execute=False)

    assert [found.predicted_pause_ms for found in (reactivated, inverted)] == [1_550, 3_550]


def test_unknown_migration_and_unknown_tenant(tenants: Store) -> None:
    unknown = back(tenants)
    assert unknown.reasons == ["migration 'to_2' is not in the tenant's active bundle"]
    assert "the tenant is on version 1, and only the migration that led there" in unknown.error["hint"]
    missing = back(tenants, tenant_id="nobody")
    assert (missing.error["code"], missing.outcome, missing.exit_code) == ("UNKNOWN_TENANT", "refused", 2)


def test_forward_again_after_a_way_back(tenants: Store) -> None:
    forward(tenants)
    back(tenants)
    tenants.append("t", [event("9", 1)], generation=1)

    forward(tenants)

    assert tenants.gate("t").active_generation == 3  # no number is given twice
    assert [found.event_type for found in stored(tenants)].count("settled") == 2
    assert back(tenants).method == "reactivate"
    assert [found.entity_id for found in stored(tenants)][-1] == "9"


def test_clock_that_was_set_back_hides_no_way_back(tenants: Store, desk: Desk) -> None:
    forward(tenants, MAPPED)
    assert back(tenants).method == "reactivate"
    with desk.plain() as writer:
        writer.execute("update {cutover} set started_ms = started_ms + 3600000 where tenant_id = 't'")
    forward(tenants, MAPPED)

    report = back(tenants)

    assert (report.ok, report.method) == (True, "reactivate")
