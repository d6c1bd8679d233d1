"""A cutover with an artifact, on each kind of store: of all that it may be given only that of this tenant and plan is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

import cicsc
from cicsc.bundle.model import Bundle
from cicsc.operations.live.cutovers import cutover_pause_migrate_resume
from cicsc.operations.live.rollback import roll_back_live
from cicsc.report.live.models import Cutover
from cicsc.store.protocol import Store
from conformance.operations.application import EVENTS, MAPPED, V2, add
from conformance.store.desk import Desk
from conformance.store.history import append, event, stored

FLIPPED_STEP = 37
"""Of so many bytes one is flipped."""


@pytest.fixture
def live(desk: Desk):
    """A store with two tenants of one history."""
    with desk.initialised() as store:
        for tenant_id in ("t", "u"):
            add(store, tenant_id)
        yield store


def approved(store: Store, path: Path, to: Bundle = V2, tenant_id: str = "t") -> Path:
    cicsc.dry_run(None, to.document, cicsc.StoreSource(store, [tenant_id]), "to_2", artifact=path)
    return path


def move(store: Store, artifact: Path) -> Cutover:
    moved = cutover_pause_migrate_resume(store, ["t"], V2.document, "to_2", artifact=artifact, execute=True)
    return moved.tenants[0]


def refused(store: Store, artifact: Path) -> tuple[str, str]:
    """Give an artifact that is not this cutover's; return the code, and what is said to differ."""
    gate, events = store.gate("t"), stored(store)

    report = move(store, artifact)

    now = store.gate("t")
    assert (report.ok, report.outcome, report.mutated, report.boundaries.paused_at) == (False, "refused", False, None)
    assert (now.active_version, now.active_generation) == (gate.active_version, gate.active_generation)
    assert (now.owner, now.is_paused, stored(store)) == (None, False, events)
    return report.error["code"], report.error["message"]


def test_tenant_that_only_grew_is_moved(live: Store, tmp_path: Path) -> None:
    plan = approved(live, tmp_path / "plan.json")
    append(live, event("9", 1), event("2", 2, "paid"))

    report = move(live, plan)

    assert (report.outcome, report.artifact_bound, live.head("t").count) == ("switched", True, len(EVENTS) + 2)


def test_artifact_of_another_tenant(live: Store, tmp_path: Path) -> None:
    code, message = refused(live, approved(live, tmp_path / "plan.json", tenant_id="u"))

    assert (code, message.endswith("it is about 'u'")) == ("ARTIFACT_DIFFERS", True)


def test_artifact_of_another_target(live: Store, tmp_path: Path) -> None:
    code, message = refused(live, approved(live, tmp_path / "plan.json", MAPPED))

    assert code == "ARTIFACT_DIFFERS"
    assert f"approved {MAPPED.digest!r}, found {V2.digest!r}" in message


def test_artifact_of_before_a_cutover_and_the_way_back(live: Store, tmp_path: Path) -> None:
    plan = approved(live, tmp_path / "plan.json")
    assert move(live, plan).ok
    append(live, event("9", 1), generation=2)
    assert roll_back_live(live, "t", "to_2", execute=True).method == "inverse"

    code, message = refused(live, plan)

    assert (code, message.endswith("approved in generation 1, found generation 3")) == ("ARTIFACT_STALE", True)


def test_artifact_of_a_file_after_the_tenant_grew(live: Store, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    cicsc.dry_run(
        cicsc.load_bundle(live.bundle(live.gate("t").active_bundle).document),
        V2.document,
        EVENTS,
        "to_2",
        artifact=plan,
    )
    append(live, event("9", 1))

    code, message = refused(live, plan)

    assert (code, f"approved {len(EVENTS)} events, found {len(EVENTS) + 1} (+1)" in message) == ("ARTIFACT_STALE", True)


def test_artifact_with_a_byte_flipped(live: Store, tmp_path: Path) -> None:
    whole = approved(live, tmp_path / "plan.json").read_bytes()
    for at in range(0, len(whole), FLIPPED_STEP):
        spoilt = bytearray(whole)
        spoilt[at] ^= 1
        (tmp_path / "spoilt.json").write_bytes(spoilt)
        with pytest.raises(cicsc.CicscError) as caught:
            move(live, tmp_path / "spoilt.json")
        assert caught.value.code in {"ARTIFACT_INVALID", "JSON_INVALID"}
    assert live.runs.of_tenant("t")[-1].kind == "import"
