"""Patients with suspected sepsis: 15,214 events of 1,050 cases, the complete log.

Version 2 merges laboratory results, admissions and discharges, each into one event type, and the
states of the emergency room into one. Counts and digests were computed independently of the product.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from real.calling import call, example_of

pytestmark = pytest.mark.slow

BUNDLES = Path(__file__).parent / "sepsis"
SOURCE_DIGEST = "c2f8b60ea2ea2fac2ed385de45e894c3f71ac2b24c7a3dfa301251822f062090"
MIGRATED_DIGEST = "fe33eb8c35c7b3dcbe830070ff5b899278170b157c6beac128fe0f045ea6a606"
RENAMED_DIGEST = "33f70227a1c5dcbc1e289ea8aa8a3c7fdd6b547f86200400afda8a1f489029fd"


@pytest.fixture(scope="module")
def log(real_logs: Path) -> Path:
    return real_logs / "sepsis.jsonl.gz"


def migration(log: Path, variant: str = "") -> list[object]:
    """The flags of a migration to version 2, or to a variant of it."""
    target = BUNDLES / variant / "to.json"
    return ["--from", BUNDLES / "from.json", "--to", target, "--events", log, "--migration", "v1_to_v2"]


def test_history_is_intact_and_satisfies_its_constraints(log: Path) -> None:
    verified = call("history-verify", "--events", log, "--bundle", BUNDLES / "from.json")

    assert verified.exit_code == 0
    assert verified["events"] == 15_214
    assert verified["streams"] == 1_050
    assert verified["tenants"] == 1
    assert verified["digest"] == SOURCE_DIGEST
    assert verified["verify"]["constraints_count"] == 6
    assert verified["verify"]["violations_total"] == 0


@pytest.mark.parametrize("equivalence", ["final", "every-event"])
def test_version_2_means_the_same(log: Path, equivalence: str) -> None:
    preflight = call("migration-preflight", *migration(log), "--equivalence", equivalence)

    assert preflight.exit_code == 0
    assert all(check["ok"] for check in preflight["checks"].values())
    verify = preflight["verify"]
    assert (verify["source_events"], verify["migrated_events"]) == (15_214, 14_167)
    assert verify["source_verify"]["entities_count"] == verify["target_verify"]["entities_count"] == 1_050
    assert (verify["source_verify"]["constraints_count"], verify["target_verify"]["constraints_count"]) == (6, 7)
    assert verify["equivalence"]["streams_compared"] == 1_050
    assert verify["equivalence"]["diverged_by_field"] == {}
    assert verify["fan_out_unmatched"] == {"sepsis_case": {"ER Triage": 1_047}}


def test_dry_run_records_both_histories(log: Path, tmp_path: Path) -> None:
    migrated, positions = tmp_path / "migrated.jsonl.zst", tmp_path / "positions.jsonl"

    dry_run = call("migration-dry-run", *migration(log), "--out-events", migrated, "--out-positions", positions)

    artifact = dry_run["artifact"]
    assert dry_run.exit_code == 0
    assert (artifact["source_events"], artifact["migrated_events"]) == (15_214, 14_167)
    assert (artifact["source_digest"], artifact["migrated_digest"]) == (SOURCE_DIGEST, MIGRATED_DIGEST)
    assert artifact["heads"] == {"hospital-nl": {"events": 15_214, "digest": SOURCE_DIGEST}}
    assert artifact["from_bundle_digest"] == "d88e85c6d52088c2aa8888f80dca0ee38317c8924a839adca71b6cd121f555d1"
    assert artifact["to_bundle_digest"] == "b41c3b67dacab670d94d8b730d4d059c230141d7fcc7ea572a755061334f7022"

    written = call("history-verify", "--events", migrated, "--bundle", BUNDLES / "to.json")
    assert (written["digest"], written["events"], written["ok"]) == (MIGRATED_DIGEST, 14_167, True)
    moved = [json.loads(line) for line in positions.read_text("utf-8").splitlines()]
    assert len(moved) == 15_214
    assert sum(position["new_seq"] is None for position in moved) == 1_047


def test_version_2_has_no_way_back(log: Path, tmp_path: Path) -> None:
    migrated, restored = tmp_path / "migrated.jsonl", tmp_path / "restored.jsonl"
    call("migration-dry-run", *migration(log), "--out-events", migrated)

    refused = call("migration-rollback", *migration(migrated), "--out-events", restored)

    mapped = ["Admission IC", "Admission NC", "CRP", "ER Registration", "ER Sepsis Triage", "IV Antibiotics"]
    mapped += ["IV Liquid", "LacticAcid", "Leucocytes", *(f"Release {kind}" for kind in "ABCDE")]
    merged = ["lab_result_recorded", "patient_admitted", "patient_discharged", "treatment_given"]
    obstacles = {f"payload_map on {name!r}" for name in mapped} | {"fan_out on 'ER Triage'"}
    obstacles |= {f"non-injective event mapping to {name!r}" for name in merged}
    obstacles |= {f"non-injective state map to {name!r}" for name in ("admitted", "in_emergency")}
    assert refused.exit_code == 1
    assert set(refused["reasons"]) == obstacles
    assert not restored.exists()


def test_renaming_version_rolls_back_to_the_very_history(log: Path, tmp_path: Path) -> None:
    renamed, restored = tmp_path / "renamed.jsonl.gz", tmp_path / "restored.jsonl"

    forward = call("migration-dry-run", *migration(log, "reversible"), "--out-events", renamed)
    back = call("migration-rollback", *migration(renamed, "reversible"), "--out-events", restored)

    assert (forward.exit_code, forward["artifact"]["migrated_digest"]) == (0, RENAMED_DIGEST)
    assert (back.exit_code, back["rolled_back_events"], back["source_checked"]) == (0, 15_214, True)
    assert call("history-verify", "--events", restored, "--expected-hash", SOURCE_DIGEST).exit_code == 0


def test_forgotten_payload_key_diverges_in_the_attribute(log: Path) -> None:
    refused = call("migration-preflight", *migration(log, "broken_forgotten_age"))

    assert refused.exit_code == 1
    assert refused["verify"]["equivalence"]["streams_diverged"] == 10
    assert refused["verify"]["equivalence"]["diverged_by_field"] == {"sepsis_case.attrs.age": 10}
    assert example_of(refused) == ("YN", 1, "CRP", "attrs.age", 45, None)


def test_wrong_state_map_diverges_in_the_state(log: Path) -> None:
    refused = call("migration-preflight", *migration(log, "broken_state_map"))

    assert refused.exit_code == 1
    assert refused["verify"]["equivalence"]["diverged_by_field"] == {"sepsis_case.state": 3}
    assert example_of(refused) == ("MDA", 9, "Admission IC", "state", "screened", "admitted")


def test_wrong_state_map_shows_in_more_cases_on_the_way(log: Path) -> None:
    refused = call("migration-preflight", *migration(log, "broken_state_map"), "--equivalence", "every-event")

    assert refused.exit_code == 1
    assert refused["verify"]["equivalence"]["diverged_by_field"] == {"sepsis_case.state": 110}


def test_reducer_hole_is_named_and_replayed_all_the_same(log: Path) -> None:
    refused = call("migration-preflight", *migration(log, "broken_reducer_hole"))

    total = refused["checks"]["migration_total"]
    target = refused["verify"]["target_verify"]
    equivalence = refused["verify"]["equivalence"]
    assert refused.exit_code == 1
    assert not total["ok"]
    assert len(total["problems"]) == 1
    assert "patient_returned" in total["problems"][0]["message"]
    assert target["violations_total"] == 294
    assert {violation["kind"] for violation in target["violations"]} == {"replay"}
    assert equivalence["diverged_by_field"] == {"sepsis_case.attrs.returned_at": 294, "sepsis_case.state": 294}
    assert (equivalence["example"]["entity_id"], equivalence["example"]["seq"]) == ("AO", 7)


def test_constraint_that_the_history_does_not_bear_out_is_refused(log: Path) -> None:
    refused = call("migration-preflight", *migration(log, "broken_new_constraint"))

    target = refused["verify"]["target_verify"]
    assert refused.exit_code == 1
    assert refused["verify"]["source_verify"]["ok"]
    assert refused["verify"]["equivalence"]["ok"]
    assert target["violations_total"] == 104
    assert {violation["constraint_id"] for violation in target["violations"]} == {"admitted_patients_get_antibiotics"}
    first = target["violations"][0]["sample"]
    assert first == {"tenant_id": "hospital-nl", "entity_id": "AMA", "state": "discharged"}


def test_state_that_only_differs_on_the_way_passes_the_final_gate_alone(log: Path) -> None:
    final = call("migration-preflight", *migration(log, "final_only"))
    every_event = call("migration-preflight", *migration(log, "final_only"), "--equivalence", "every-event")

    assert (final.exit_code, every_event.exit_code) == (0, 1)
    assert every_event["verify"]["equivalence"]["diverged_by_field"] == {"sepsis_case.state": 1_033}
