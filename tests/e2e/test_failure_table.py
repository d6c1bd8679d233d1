"""The failure table of the runbook, line by line, on each kind of store.

line 1    any preflight failure: the cutover is blocked, and nobody is paused
line 2    any dry-run failure: the cutover is blocked, and the artifact is there
line 3    any rollback failure: the history is as it was
line 4    the resume is always executed, whatever happens: test_failure_table_resume.py
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import cicsc
from cicsc.bundle.load import load_bundle
from cicsc.bundle.model import Bundle
from cicsc.errors import BundleError
from cicsc.operations.live.binding import read_approval
from cicsc.operations.live.cutover import TenantCutover
from cicsc.operations.live.rollback import TenantRollback
from cicsc.store.protocol import Store
from conformance.operations.application import MAPPED, V1, V2
from conformance.store.conftest import desk
from conformance.store.desk import Desk, Plain
from conformance.store.history import INSERT, columns, event
from e2e.failing import (
    EVENTS,
    assert_never_paused,
    assert_open,
    back,
    changed,
    forward,
    live,
    plain,
    spoil,
    with_constraint,
)

__all__ = ["desk", "live", "plain"]

STEPS = [step.__name__ for step in TenantCutover.steps]
ROLLBACK_STEPS = [step.__name__ for step in TenantRollback.steps]


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

    assert (report.outcome, report.error["code"], report.migrated_events) == ("refused", "VERSION_DIFFERS", 0)
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
