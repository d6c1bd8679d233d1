"""The failure table of the runbook, line by line, on each kind of store.

line 1    any preflight failure: the cutover is blocked, and nobody is paused
line 2    any dry-run failure: the cutover is blocked, and the artifact is there
line 3    any rollback failure: the history is as it was
line 4    the resume is always executed, whatever happens
"""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cicsc
from cicsc.bundle.load import load_bundle
from cicsc.bundle.model import Bundle
from cicsc.errors import BundleError
from cicsc.operations.live.binding import read_approval
from cicsc.operations.live.change import TenantChange
from cicsc.operations.live.cutover import Order, TenantCutover, cut_over
from cicsc.operations.live.recovery import recover_tenant
from cicsc.operations.live.rollback import RollbackOrder, TenantRollback, roll_back_tenant
from cicsc.store.check import check_store
from cicsc.store.protocol import Store
from conformance.operations.application import MAPPED, V1, V2, add
from conformance.store.conftest import desk
from conformance.store.desk import Desk, Plain
from conformance.store.history import INSERT, columns, event
from e2e.signals import heeded

__all__ = ["desk"]

STEPS = [step.__name__ for step in TenantCutover.steps]
ROLLBACK_STEPS = [step.__name__ for step in TenantRollback.steps]
POSTGRES = ("postgres-16", "postgres-18")
WAIT_S = 60
EVENTS = "select * from {event} order by tenant_id, generation, entity_type, entity_id, seq"


@pytest.fixture
def live(desk: Desk) -> Iterator[Store]:
    """A store with a tenant on version 1."""
    with desk.initialised() as store:
        add(store, "t")
        yield store


@pytest.fixture
def plain(desk: Desk, live: Store) -> Iterator[Plain]:
    """A program that knows nothing of this package: it writes, and looks at the tables."""
    with desk.plain() as writer:
        yield writer


def forward(store: Store, target: Bundle = V2, **more: Any) -> Any:
    order = {"migration": "to_2", "operator": "ann", "execute": True} | more
    return cut_over(store, "t", Order(target=target, **order))


def back(store: Store) -> Any:
    return roll_back_tenant(store, "t", RollbackOrder(migration="to_2", operator="bob", execute=True))


def changed(bundle: Bundle, change: Callable[[dict[str, Any]], object]) -> Bundle:
    document = copy.deepcopy(dict(bundle.document))
    change(document["core_ir"])
    return load_bundle(document)


def with_constraint(total: int) -> dict[str, Any]:
    value = {"coalesce": [{"var": {"row": {"field": "total"}}}, {"lit": {"int": 0}}]}
    return {"low": {"kind": "snapshot", "on_type": "Order", "expr": {"le": [value, {"lit": {"int": total}}]}}}


def assert_open(store: Store, plain: Plain, version: int = 1) -> None:
    """The tenant is open on exactly one version, nobody has it, and a plain writer writes into it."""
    gate = store.gate("t")
    assert (gate.is_paused, gate.owner, gate.active_version) == (False, None, version)
    assert plain.execute("select count(*) from {gate} where state = 'paused'") == [(0,)]
    plain.execute(INSERT, *columns(event("after", 1), gate.active_generation))
    check = check_store(store)
    assert check.ok, check.findings


def assert_never_paused(store: Store, report: Any) -> None:
    boundaries = report.boundaries
    assert [getattr(boundaries, name) for name in boundaries.__struct_fields__] == [None] * 4
    assert [entry.action for entry in store.audit("t") if entry.action.endswith(("-fence", "-switch"))] == []
    assert {run.phase for run in store.runs.of_tenant("t") if run.kind == "cutover"} <= {"ABORTED"}


# ------------------------------------------------------------------------------------------------ line 1

WRONG_TARGETS: dict[str, tuple[Callable[[], Bundle], str]] = {
    "migration_total": (
        lambda: changed(V2, lambda core: core["migrations"]["to_2"]["event_transforms"]["paid"].update(emit_as="gone")),
        "gone",
    ),
    "replay_verification": (lambda: changed(V2, lambda core: core.update(constraints=with_constraint(100))), "low"),
    "replay_verification by divergence": (
        lambda: changed(V2, lambda core: core["types"]["Order"]["reducer"]["created"].clear()),
        "total",
    ),
}


@pytest.mark.parametrize("check", WRONG_TARGETS)
def test_line_1_preflight_failure_blocks_and_never_pauses(live: Store, plain: Plain, check: str) -> None:
    make, found = WRONG_TARGETS[check]
    before = plain.execute(EVENTS)

    report = forward(live, make())

    assert (report.ok, report.outcome, report.mutated, report.exit_code) == (False, "refused", False, 1)
    assert report.error["code"] == "PREFLIGHT_FAILED"
    assert found in str(getattr(report.checks, check.split(maxsplit=1)[0]))
    assert_never_paused(live, report)
    assert plain.execute(EVENTS) == before
    assert_open(live, plain)


def test_line_1_target_bundle_that_is_not_valid_blocks(live: Store, plain: Plain) -> None:
    document = copy.deepcopy(dict(V2.document))
    document["core_ir"]["types"]["Order"]["initial_state"] = "nowhere"

    with pytest.raises(BundleError):
        forward(live, load_bundle(document))  # no order can be made of it

    assert list(live.runs.of_tenant("t"))[-1].kind == "import"
    assert_open(live, plain)


def test_line_1_source_bundle_that_is_damaged_blocks_and_never_pauses(live: Store, plain: Plain) -> None:
    (kept,) = plain.execute("select body from {bundle} where digest = ?", V1.digest)
    plain.execute("update {bundle} set body = '{}' where digest = ?", V1.digest)

    report = forward(live)

    assert (report.ok, report.mutated, report.error["code"]) == (False, False, "STORE_DAMAGED")
    assert_never_paused(live, report)
    plain.execute("update {bundle} set body = ? where digest = ?", *kept, V1.digest)
    assert_open(live, plain)


def test_line_1_unknown_migration_blocks_and_never_pauses(live: Store, plain: Plain) -> None:
    report = forward(live, migration="to_9")

    assert (report.outcome, report.checks.migration_exists.ok) == ("refused", False)
    assert_never_paused(live, report)
    assert_open(live, plain)


def test_line_1_migration_from_another_version_blocks_and_never_pauses(live: Store, plain: Plain) -> None:
    target = changed(V2, lambda core: core["migrations"]["to_2"].update(from_version=0))

    report = forward(live, target)

    assert (report.outcome, report.error["code"]) == ("refused", "VERSION_DIFFERS")
    assert_never_paused(live, report)
    assert_open(live, plain)


def test_line_1_migration_that_leads_nowhere_blocks_and_never_pauses(live: Store, plain: Plain) -> None:
    report = forward(live, changed(V2, lambda core: core["migrations"]["to_2"].update(to_version=1)))

    assert (report.outcome, report.checks.version_forward.ok) == ("refused", False)
    assert_never_paused(live, report)
    assert_open(live, plain)


def test_line_1_history_that_is_not_intact_blocks_and_never_pauses(live: Store, plain: Plain, desk: Desk) -> None:
    desk.drop_trigger(plain, "fence_delete")
    plain.execute("delete from {event} where entity_id = '1' and seq = 1")
    live.reinstall_fence(actor_id="ann")

    report = forward(live)

    assert (report.outcome, report.checks.history_integrity.ok) == ("refused", False)
    assert_never_paused(live, report)
    gate = live.gate("t")
    assert (gate.is_paused, gate.owner) == (False, None)


def test_line_1_what_is_found_only_under_the_fence_reopens(
    live: Store, plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written_meanwhile(change: TenantCutover) -> None:
        plain.execute(INSERT, *columns(event("9", 1), 1, payload='{"total": 1e40}'))
        change.pause()

    pause = STEPS.index("pause")
    steps = (*TenantCutover.steps[:pause], written_meanwhile, *TenantCutover.steps[pause + 1 :])
    monkeypatch.setattr(TenantCutover, "steps", steps)

    report = forward(live, changed(V2, lambda core: core.update(constraints=with_constraint(10**35))))

    assert (report.outcome, report.error["code"]) == ("refused", "VERIFICATION_FAILED")
    assert report.boundaries.paused_at <= report.boundaries.resumed_at
    assert_open(live, plain)


# ------------------------------------------------------------------------------------------------ line 2


@pytest.mark.parametrize("check", WRONG_TARGETS)
def test_line_2_dry_run_failure_blocks_and_leaves_the_artifact(
    live: Store, plain: Plain, tmp_path: Path, check: str
) -> None:
    target, artifact = WRONG_TARGETS[check][0](), tmp_path / "plan" / "artifact.json"
    dry = cicsc.dry_run(None, target, cicsc.StoreSource(live, ["t"]), "to_2", artifact=artifact)
    kept = artifact.read_bytes()

    report = forward(live, target, approval=read_approval(artifact))

    assert (dry.ok, json.loads(kept)["ok"], artifact.read_bytes() == kept) == (False, False, True)
    assert (report.outcome, report.error["code"]) == ("refused", "ARTIFACT_DIFFERS")
    assert "its verdict is no" in report.error["message"]
    assert_never_paused(live, report)
    assert_open(live, plain)


# ------------------------------------------------------------------------------------------------ line 3


def test_line_3_rollback_that_is_unsafe_leaves_the_history(live: Store, plain: Plain) -> None:
    assert forward(live, MAPPED).ok
    live.append("t", [event("9", 1)], generation=2)
    before = plain.execute(EVENTS)

    report = back(live)

    assert (report.outcome, report.reasons, report.mutated) == ("refused", ["payload_map on 'created'"], False)
    assert plain.execute(EVENTS) == before
    assert_open(live, plain, 2)


@pytest.mark.parametrize("method", ["reactivate", "inverse"])
@pytest.mark.parametrize("step", ROLLBACK_STEPS)
def test_line_3_rollback_that_fails_leaves_the_history(
    live: Store, plain: Plain, monkeypatch: pytest.MonkeyPatch, step: str, method: str
) -> None:
    assert forward(live).ok
    if method == "inverse":
        live.append("t", [event("9", 1)], generation=2)
    before = plain.execute(EVENTS)
    spoil(monkeypatch, TenantRollback, step, OSError("the disk is gone"), first=True)

    report = back(live)

    assert (report.ok, report.outcome, report.error["code"]) == (False, "failed", "INTERNAL_ERROR")
    assert plain.execute(EVENTS) == before
    assert_open(live, plain, 2)
    monkeypatch.undo()
    assert back(live).ok


# ------------------------------------------------------------------------------------------------ line 4


def spoil(
    monkeypatch: pytest.MonkeyPatch,
    kind: type[TenantChange],
    name: str,
    error: BaseException | Callable[[], object],
    *,
    first: bool = False,
) -> None:
    """Let something happen after a step, or before it."""

    def happen() -> None:
        if not isinstance(error, BaseException):
            error()
            return
        raise error

    def spoiled(step: Callable[..., None]) -> Callable[..., None]:
        def both(change: TenantChange) -> None:
            if first:
                happen()
            step(change)
            if not first:
                happen()

        return both

    monkeypatch.setattr(kind, "steps", tuple(spoiled(step) if step.__name__ == name else step for step in kind.steps))


@pytest.mark.parametrize(
    "error", [ValueError("a slip"), MemoryError(), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("step", STEPS)
def test_line_4_resume_after_an_exception(
    live: Store, plain: Plain, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    before = plain.execute(EVENTS)
    spoil(monkeypatch, TenantCutover, step, error)

    report = forward(live)

    codes = {ValueError: "INTERNAL_ERROR", MemoryError: "OUT_OF_MEMORY", KeyboardInterrupt: "INTERRUPTED"}
    if step == "switch":  # what is switched stays so, and there is nothing to report but that
        assert (report.ok, report.outcome) == (True, "switched")
    else:
        assert (report.ok, report.error["code"], report.exit_code) == (False, codes[type(error)], 3)
        assert plain.execute(EVENTS) == before
    boundaries = report.boundaries
    assert (boundaries.paused_at is None) == (boundaries.resumed_at is None) == (step == "open_preflight")
    assert_open(live, plain, 2 if step == "switch" else 1)


@pytest.mark.parametrize("desk", POSTGRES, indirect=True)
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_line_4_resume_after_a_lost_connection(
    live: Store, plain: Plain, monkeypatch: pytest.MonkeyPatch, step: str, first: bool
) -> None:
    def cut() -> None:
        plain.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )

    spoil(monkeypatch, TenantCutover, step, cut, first=first)

    report = forward(live)

    is_switched = live.gate("t").active_version == 2
    assert report.ok == is_switched
    assert report.ok or report.error["code"] in {"STORE_UNREACHABLE", "STORE_OUTCOME_UNKNOWN"}
    assert_open(live, plain, 2 if is_switched else 1)


def child(desk: Desk, lease_s: float, step: str, deed: str = "wait") -> subprocess.Popen[str]:
    """Begin a cutover in a process of its own, and return when it has taken a step."""
    script = Path(__file__).with_name("live_child.py")
    tests = str(script.parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, *filter(None, sys.path)])}
    words = [sys.executable, str(script), desk.url, str(lease_s), step, deed]
    with heeded():
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line == "reached\n", process.stderr.read()
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["pause", "switch"])
def test_line_4_resume_after_a_signal(live: Store, plain: Plain, desk: Desk, step: str, number: signal.Signals) -> None:
    with child(desk, 60, step) as process:
        assert live.gate("t").is_paused == (step == "pause")
        process.send_signal(number)
        out, err = process.communicate(timeout=WAIT_S)
    report = json.loads(out)

    assert "Traceback" not in err
    assert report["ok"] == (step == "switch")
    assert report["tenant_paused"] is False
    assert_open(live, plain, 2 if step == "switch" else 1)


@pytest.mark.parametrize("step", STEPS)
def test_line_4_resume_after_kill_9(live: Store, plain: Plain, desk: Desk, step: str) -> None:
    before = plain.execute(EVENTS + " limit 5")
    with child(desk, 60, step) as process:
        process.kill()
        process.communicate(timeout=WAIT_S)
    ended = "lease_until_ms = lease_until_ms - 600000"
    plain.execute(f"update {{cutover}} set {ended} where phase <> 'DONE'")
    plain.execute(f"update {{gate}} set {ended}, pause_deadline_ms = pause_deadline_ms - 600000 where state = 'paused'")

    found = recover_tenant(live, "t", actor_id="eve")

    assert found is not None
    assert found.outcome == ("finished" if step == "switch" else "reopened")
    assert plain.execute(EVENTS + " limit 5") == before
    assert_open(live, plain, 2 if step == "switch" else 1)
    assert forward(live).outcome == ("already" if step == "switch" else "switched")


@pytest.mark.parametrize("step", ["pause", "read_back"])
def test_line_4_resume_when_nobody_ever_comes_back(live: Store, plain: Plain, desk: Desk, step: str) -> None:
    with child(desk, 1, step) as process:
        process.kill()
        process.communicate(timeout=WAIT_S)
    deadline = time.monotonic() + WAIT_S
    while live.gate("t").is_paused:
        assert time.monotonic() < deadline
        time.sleep(0.02)

    plain.execute(INSERT, *columns(event("after", 1)))  # no program of ours did anything since

    later = forward(live)
    assert (later.ok, later.recovered.outcome, later.recovered.resumed_by) == (True, "reopened", "lease")
    assert ("after", 1) in plain.execute("select entity_id, seq from {event} where generation = 3")


@pytest.mark.slow
def test_line_4_resume_when_the_memory_is_at_its_end(live: Store, plain: Plain, desk: Desk) -> None:
    large = {"total": 1, "note": "n" * 2**20}
    live.append("t", [event("large", seq, payload=large) for seq in range(1, 65)], generation=1)

    with child(desk, 60, "pause", "memory") as process:
        out, err = process.communicate(timeout=WAIT_S)

    assert out, err
    report = json.loads(out)
    assert (report["ok"], report["error"]["code"]) == (False, "OUT_OF_MEMORY"), err
    assert report["boundaries"]["resumed_at"] is not None
    assert_open(live, plain)
