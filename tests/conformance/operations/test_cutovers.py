"""Cutovers of several tenants: each is its own, whatever becomes of the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

import cicsc
from cicsc.bundle.load import load_bundle
from cicsc.errors import BundleError, InputError, RefusedError, UsageError, WorkError
from cicsc.history.model import Event
from cicsc.operations.live.change import PAUSE_BESIDE_S
from cicsc.operations.live.cutover import Order, TenantCutover
from cicsc.operations.live.cutovers import cutover_pause_migrate_resume
from cicsc.operations.live.run import Timing
from cicsc.progress import Amount
from cicsc.report.live.models import Cutover, Cutovers
from cicsc.store.protocol import Store
from cicsc.store.records import Run
from conformance.operations.conftest import TENANTS
from conformance.operations.dying import fenced, planned, wait_for_lease
from conformance.store.desk import Desk, Plain
from e2e.live import orders, violate
from e2e.shop import Json, diverging_target, event, source, target


def cutover(store: str | Store, tenants: list[str] | None = None, **more: object) -> Cutovers:
    return cutover_pause_migrate_resume(store, tenants, target(), "v0_to_v1", **{"execute": True, **more})


def versions(store: Store) -> list[int]:
    return [gate.active_version for gate in store.gates()]


def outcomes(report: Cutovers) -> list[str]:
    return [tenant.outcome for tenant in report.tenants]


def test_every_tenant_is_moved_by_default(store: Store) -> None:
    report = cutover(store)

    assert (report.ok, report.exit_code, report.counts, report.not_moved) == (True, 0, {"switched": 3}, [])
    assert [tenant.tenant_id for tenant in report.tenants] == list(TENANTS)
    assert versions(store) == [1, 1, 1]
    assert [gate.owner for gate in store.gates()] == [None] * 3


def test_named_tenants_are_moved_in_the_order_given_and_once(store: Store) -> None:
    report = cutover(store, ["corner", "acme", "corner"])

    assert [tenant.tenant_id for tenant in report.tenants] == ["corner", "acme"]
    assert versions(store) == [1, 0, 1]


def test_without_execute_nothing_is_changed(store: Store) -> None:
    before = [(gate.epoch, gate.owner, gate.active_bundle) for gate in store.gates()]

    report = cutover(store, execute=False)

    assert (report.ok, report.executed, report.counts) == (True, False, {"rehearsed": 3})
    assert report.not_moved == list(TENANTS)
    assert all(tenant.predicted_pause_ms >= 1000 * PAUSE_BESIDE_S for tenant in report.tenants)
    assert [(gate.epoch, gate.owner, gate.active_bundle) for gate in store.gates()] == before
    assert not [run for tenant in TENANTS for run in store.runs.of_tenant(tenant) if run.kind == "cutover"]


def test_one_that_is_refused_touches_no_other(store: Store) -> None:
    violate(store, "bmart")

    report = cutover(store)

    assert outcomes(report) == ["switched", "refused", "switched"]
    assert (report.ok, report.exit_code, report.not_moved) == (False, 1, ["bmart"])
    assert report.error["code"] == "TENANTS_FAILED"
    assert "'bmart'" in report.error["message"]
    assert versions(store) == [1, 0, 1]


def test_the_second_call_leaves_alone_who_has_moved(store: Store) -> None:
    cutover(store, ["acme"])

    report = cutover(store)

    assert outcomes(report) == ["already", "switched", "switched"]
    assert (report.ok, report.not_moved) == (True, [])


def test_an_unknown_tenant_is_told_and_touches_no_other(store: Store) -> None:
    report = cutover(store, ["nobody", "acme"])

    assert outcomes(report) == ["refused", "switched"]
    assert report.tenants[0].error["code"] == "UNKNOWN_TENANT"
    assert (report.exit_code, report.not_moved) == (2, ["nobody"])


def test_a_tenant_that_another_run_has_is_told_with_its_holder(store: Store) -> None:
    run = planned(store, "acme")

    report = cutover(store)

    assert outcomes(report) == ["refused", "switched", "switched"]
    assert report.tenants[0].error["code"] == "RUN_HELD"
    assert run.run_id in report.tenants[0].error["message"]
    assert "'bob'" in report.tenants[0].error["message"]
    assert store.runs.holder("acme") is not None


@pytest.mark.parametrize("leave", [planned, fenced])
def test_a_rehearsal_refuses_a_tenant_that_another_run_has(store: Store, leave: Callable[[Store, str], Run]) -> None:
    run = leave(store, "acme")

    report = cutover(store, execute=False)

    assert outcomes(report) == ["refused", "rehearsed", "rehearsed"]
    assert (report.exit_code, report.tenants[0].error["code"]) == (1, "RUN_HELD")
    assert f"--tenant acme --take-over {run.run_id}" in report.tenants[0].error["hint"]


def test_a_rehearsal_goes_past_a_run_that_died(store: Store) -> None:
    wait_for_lease(store, fenced(store, "acme", lease_s=0.05))

    assert outcomes(cutover(store, ["acme"], execute=False)) == ["rehearsed"]
    assert store.runs.holder("acme").phase == "FENCED"


def test_a_rehearsal_refuses_a_pause_of_an_operator_until_it_is_over(store: Store) -> None:
    store.pause("acme", owner="ann", seconds=0.3)

    assert cutover(store, ["acme"], execute=False).tenants[0].error["code"] == "GATE_HELD"
    while store.gate("acme").is_paused:
        time.sleep(0.02)
    assert outcomes(cutover(store, ["acme"], execute=False)) == ["rehearsed"]


@pytest.mark.parametrize("execute", [False, True])
def test_a_changed_fence_is_refused_and_pauses_nobody(store: Store, desk: Desk, plain: Plain, execute: bool) -> None:
    desk.weaken_fence(plain)

    (report,) = cutover(store, ["acme"], execute=execute).tenants

    assert (report.outcome, report.error["code"], report.boundaries.paused_at) == ("refused", "FENCE_CHANGED", None)
    assert "fence_insert" in report.error["message"]
    assert store.gate("acme").owner is None


def test_a_tenant_that_an_operator_paused_is_not_opened(store: Store) -> None:
    store.pause("acme", owner="ann", seconds=60)

    report = cutover(store, ["acme"])

    assert (report.tenants[0].error["code"], report.tenants[0].tenant_paused) == ("GATE_HELD", True)
    assert store.gate("acme").is_paused


def test_a_run_that_died_is_followed(store: Store) -> None:
    wait_for_lease(store, fenced(store, "acme", lease_s=0.05))

    report = cutover(store, ["acme"])

    assert outcomes(report) == ["switched"]
    assert (report.tenants[0].recovered.found_phase, report.tenants[0].recovered.outcome) == ("FENCED", "reopened")


def test_each_report_is_given_when_it_is_ready(store: Store) -> None:
    seen: list[tuple[str, int]] = []

    def look(report: Cutover) -> None:
        seen.append((report.tenant_id, sum(versions(store))))

    cutover(store, on_tenant=look)

    assert seen == [("acme", 1), ("bmart", 2), ("corner", 3)]


def test_each_tenant_is_told_when_it_begins(store: Store) -> None:
    begun: list[tuple[str, int, int]] = []

    cutover(store, ["corner", "nobody", "acme"], on_begin=lambda *told: begun.append(told))

    assert begun == [("corner", 1, 3), ("nobody", 2, 3), ("acme", 3, 3)]


def test_tenants_that_go_at_once_are_told_once_each(store: Store, desk: Desk) -> None:
    begun: list[tuple[str, int, int]] = []

    cutover(desk.url, parallel=2, on_begin=lambda *told: begun.append(told))

    assert begun == [(name, number, 3) for number, name in enumerate(TENANTS, 1)]


class Listener:
    """Keeps what it is told, by phase; may end the work."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.phases: list[tuple[str, int, list[Amount]]] = []
        self.fault = fault

    def begin(self, phase: str, whole: Amount) -> None:
        self.phases.append((phase, whole.events, []))

    def note(self, done: Amount) -> None:
        phase, _, noted = self.phases[-1]
        noted.append(done)
        if self.fault is not None and phase == "writing":
            raise self.fault

    def worked(self, peaks: Sequence[int]) -> None:
        raise AssertionError(peaks)

    def passed(self) -> list[tuple[str, int, int]]:
        return [(phase, whole, sum(done.events for done in noted)) for phase, whole, noted in self.phases]


def test_progress_adds_up_in_each_phase(store: Store) -> None:
    rehearsed, done = Listener(), Listener()
    cutover(store, ["acme"], execute=False, progress=rehearsed)
    cutover(store, ["acme", "bmart"], progress=done)

    assert rehearsed.passed() == [("preflight", 6, 6)]
    assert done.passed() == [("preflight", 6, 6), ("writing", 6, 6), ("reading back", 6, 6)] * 2
    assert sum(amount.streams for amount in done.phases[0][2]) == 2


def test_progress_is_told_while_the_queries_of_a_tenant_are_decided(desk: Desk) -> None:
    def counted(bundle: Json) -> Json:
        query = {"source": {"snap": {"type": "Order"}}, "pipeline": []}
        few = {"le": [{"var": {"rows_count": True}}, {"lit": {"int": 100}}]}
        rule = {"kind": "bool_query", "on_type": "Order", "args": {}, "query": query, "assert": few}
        bundle["core_ir"]["constraints"]["few"] = rule
        return bundle

    listener, before = Listener(), load_bundle(counted(source()))
    with desk.initialised() as store:
        store.put_bundle(before)
        store.create_tenant("acme", bundle_digest=before.digest, version=0, actor_id="ann")
        store.append("acme", orders("acme", 3), generation=1)
        cutover_pause_migrate_resume(store, ["acme"], counted(target()), "v0_to_v1", execute=True, progress=listener)

    told = {phase: noted.count(Amount()) for phase, _, noted in listener.phases}
    assert told == {"preflight": 4, "writing": 4, "reading back": 0}


def test_progress_of_both_ways_back(store: Store) -> None:
    cutover(store, ["acme", "bmart"])
    append = Event(**event(1, "order_placed", {"total": 1}, tenant="bmart", entity="new"))
    store.append("bmart", [append], generation=store.gate("bmart").active_generation)
    found = []
    for tenant in ("acme", "bmart"):
        listener = Listener()
        report = cicsc.roll_back_live(store, tenant, "v0_to_v1", execute=True, progress=listener)
        found.append((report.outcome, report.method, listener.passed()))

    assert found == [
        ("switched", "reactivate", [("checking", 6, 6), ("reading back", 6, 6)]),
        ("switched", "inverse", [("checking", 7, 7), ("writing", 7, 7), ("reading back", 7, 7)]),
    ]


@pytest.mark.parametrize(
    ("fault", "code"), [(WorkError("ENOUGH", "enough"), "ENOUGH"), (KeyboardInterrupt(), "INTERRUPTED")]
)
def test_a_listener_that_raises_ends_the_cutover_and_the_tenant_is_open(
    store: Store, fault: BaseException, code: str
) -> None:
    report = cutover(store, ["acme"], progress=Listener(fault))

    assert report.tenants[0].error["code"] == code
    assert (store.gate("acme").owner, versions(store)) == (None, [0, 0, 0])


def test_a_signal_ends_the_one_under_way_and_begins_no_other(store: Store) -> None:
    def interrupt(report: Cutover) -> None:
        raise KeyboardInterrupt

    report = cutover(store, on_tenant=interrupt)

    assert (outcomes(report), report.counts) == (["switched"], {"not_begun": 2, "switched": 1})
    assert (report.ok, report.exit_code, report.not_moved) == (False, 3, ["bmart", "corner"])
    assert report.error["code"] == "INTERRUPTED"
    assert versions(store) == [1, 0, 0]


def test_a_store_without_tenants_is_no_error(desk: Desk) -> None:
    with desk.initialised() as store:
        report = cutover(store)

    assert (report.ok, report.counts, report.tenants) == (True, {}, [])


def test_a_bundle_with_defects_is_refused_before_anything(store: Store) -> None:
    with pytest.raises(BundleError):
        cutover_pause_migrate_resume(store, None, {"core_ir": {}}, "v0_to_v1", execute=True)

    assert versions(store) == [0, 0, 0]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"parallel": 0}, "INVALID_VALUE"),
        ({"parallel": 65}, "INVALID_VALUE"),
        ({"parallel": 2}, "INVALID_VALUE"),  # the store is open, so there is no URL to give to others
        ({"max_pause_s": 0}, "DURATION_INVALID"),
        ({"lease_s": -1}, "DURATION_INVALID"),
    ],
)
def test_a_wrong_call_is_refused_before_anything(store: Store, more: dict[str, object], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        cutover(store, **more)

    assert caught.value.code == code
    assert versions(store) == [0, 0, 0]


def test_a_missing_artifact_is_refused_before_anything(store: Store) -> None:
    with pytest.raises(InputError) as caught:
        cutover(store, artifact="missing.json")

    assert caught.value.code == "ARTIFACT_UNREADABLE"


def test_a_pause_that_is_too_long_is_refused_with_the_prediction(store: Store) -> None:
    report = cutover(store, ["acme"], max_pause_s=0.001)

    assert (outcomes(report), report.tenants[0].error["code"]) == (["refused"], "PAUSE_TOO_LONG")
    assert report.tenants[0].predicted_pause_ms >= 1


@pytest.mark.parametrize(
    ("predicted_s", "limit_s", "told"),
    [
        (0.0021, 0.002, "about 0.003 s: expected at most 0.002 s"),
        (0.9991, 0.9, "about 1 s: expected at most 0.9 s"),
        (2.0001, 2.0, "about 2.1 s: expected at most 2 s"),
        (59.97, 59.96, "about 60.0 s: expected at most 59.96 s"),
    ],
)
def test_a_pause_that_is_too_long_never_looks_shorter_than_what_is_allowed(
    store: Store, predicted_s: float, limit_s: float, told: str
) -> None:
    order = Order(operator="ann", target=load_bundle(target()), migration="v0_to_v1", timing=Timing(15, limit_s))
    change = TenantCutover(store, "acme", order)
    change.predicted_s = predicted_s

    with pytest.raises(RefusedError, match=told):
        change.require_short()


def test_a_divergence_is_refused_with_its_checks(store: Store) -> None:
    report = cutover_pause_migrate_resume(store, ["acme"], diverging_target(), "v0_to_v1", execute=True)

    assert outcomes(report) == ["refused"]
    assert not report.tenants[0].checks.replay_verification.ok
    assert report.tenants[0].boundaries.paused_at is None


def test_several_at_once_of_which_one_fails(store: Store, desk: Desk) -> None:
    for tenant in ("delta", "echo"):
        bundle = store.gate("acme").active_bundle
        store.create_tenant(tenant, bundle_digest=bundle, version=0, actor_id="ann")
        store.append(tenant, orders(tenant, 3), generation=1)
    violate(store, "corner")
    seen: list[str] = []

    report = cutover(desk.url, parallel=2, on_tenant=lambda tenant: seen.append(tenant.tenant_id))

    assert report.counts == {"refused": 1, "switched": 4}
    assert (report.exit_code, report.not_moved) == (1, ["corner"])
    assert [tenant.tenant_id for tenant in report.tenants] == ["acme", "bmart", "corner", "delta", "echo"]
    assert sorted(seen) == ["acme", "bmart", "corner", "delta", "echo"]
    assert versions(store) == [1, 1, 0, 1, 1]
    assert [gate.owner for gate in store.gates()] == [None] * 5


def test_the_package_offers_it() -> None:
    assert cicsc.cutover_pause_migrate_resume is cutover_pause_migrate_resume
